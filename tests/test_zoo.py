"""The zoo: what a card says is what its weights are."""

import json
import re

import pytest
import torch

from helpers import networks
from helpers.errors import BadInput
from helpers.methods import trained
from helpers.networks import zoo
from helpers.training import validation

TINY = {"network": "unet", "channels": 2, "pools": 2}


@pytest.fixture
def folder(tmp_path):
    """A zoo with one untrained network, in half precision."""
    torch.manual_seed(0)
    state = zoo.rounded(networks.build(TINY).state_dict())
    zoo.save({"name": "tiny", "architecture": TINY, "data": ["knee"], "profile": "smoke"}, state, tmp_path)
    return tmp_path


def test_card_and_weights_come_back(folder):
    assert zoo.names(folder) == ["tiny"]
    assert zoo.card("tiny", folder)["architecture"] == TINY
    torch.manual_seed(0)
    network, original = zoo.load("tiny", folder=folder), networks.build(TINY)  # loading moves no random numbers
    assert not network.training and not any(each.requires_grad for each in network.parameters())
    for key, value in original.state_dict().items():
        assert torch.equal(network.state_dict()[key], value.half().float())


def test_a_loaded_network_is_a_method(folder):
    kspace = torch.randn(2, 3, 20, 24, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    image = zoo.load("tiny", folder=folder)(kspace, torch.ones(24, dtype=torch.bool))
    assert image.shape == (2, 20, 24) and not image.requires_grad


def test_nothing_is_left_beside_what_was_written(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.json", "tiny.safetensors"]


def change(path, old, new):
    path.write_text(path.read_text("utf8").replace(old, new), "utf8")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / "tiny.safetensors").unlink(), "is missing"),
        (lambda folder: (folder / "tiny.safetensors").write_bytes(b"other"), "checksum"),
        (lambda folder: change(folder / "tiny.json", '"channels": 2', '"channels": 4'), "another architecture"),
        (lambda folder: change(folder / "tiny.json", '"pools": 2', '"pools": 3'), "another architecture"),
        (lambda folder: change(folder / "tiny.json", '"unet"', '"qnet"'), "no network 'qnet'"),
        (lambda folder: change(folder / "tiny.json", "{", "["), "no card"),
        (lambda folder: (folder / "tiny.json").write_text("[]"), "no card"),
    ],
)
def test_damage_is_one_sentence(folder, damage, sentence):
    damage(folder)
    with pytest.raises(BadInput, match=sentence):
        zoo.load("tiny", folder=folder)


def test_weights_that_are_none(folder):
    zoo.save({"name": "tiny", "architecture": TINY}, {}, folder)
    with pytest.raises(BadInput, match="another architecture"):
        zoo.load("tiny", folder=folder)


def test_an_unknown_name_names_the_others(folder, tmp_path_factory):
    with pytest.raises(BadInput, match="no network 'huge'; it has tiny"):
        zoo.load("huge", folder=folder)
    with pytest.raises(BadInput, match="none yet"):
        zoo.card("huge", tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("name", zoo.names())
def test_shipped_cards_are_whole(name):
    card = zoo.card(name)
    promised = (
        "name method anatomy profile architecture parameters data seed command steps device hours ssim curve sha256"
    )
    assert set(promised.split()) <= card.keys()
    assert card["name"] == name and card["curve"][-1][0] == card["steps"]
    assert not re.search(r"(^|[ '\"=])/\w", card["command"]), "no absolute path of a machine"
    network = zoo.load(name)
    assert sum(each.numel() for each in network.parameters()) == card["parameters"]
    for found in card["validation"].values():
        for score in validation.SCORES:
            mean, low, high = found[score]
            assert low <= mean <= high


def test_the_zoo_is_small():
    assert sum(path.stat().st_size for path in zoo.ZOO.glob("*")) < 60e6


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.names() if name in ("unet-knee", "varnet-brain")])
def test_scored_again_a_card_is_right(name):
    card = zoo.card(name)
    for source, found in validation.rescore(name).items():
        for score in validation.SCORES:
            assert found[score] == pytest.approx(card["validation"][source][score], abs=1e-6)


def test_json_of_a_card_is_one_key_a_line(folder):
    text = (folder / "tiny.json").read_text("utf8")
    assert len(text.splitlines()) == len(json.loads(text)) + 2


def test_a_trained_method_is_differentiable_in_the_kspace(folder, monkeypatch):
    monkeypatch.setattr(zoo, "load", lambda name, device, load=zoo.load: load(name, device, folder))
    monkeypatch.setattr(trained, "network", trained.network.__wrapped__)
    kspace = torch.randn(3, 20, 24, dtype=torch.complex64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mask = torch.arange(24) % 2 == 0
    trained.reconstruct(kspace * mask, mask, "tiny").sum().backward()
    assert kspace.grad[..., mask].abs().min() > 0 and not kspace.grad[..., ~mask].any()
    with pytest.raises(BadInput, match="no network 'huge'"):
        trained.reconstruct(kspace, mask, "huge")
