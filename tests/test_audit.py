"""The audit: it knows the worst case of SENSE, and refuses methods that only look robust."""

import json
import sys

import pandas as pd
import pytest

from helpers import figures, findings, methods
from helpers.__main__ import main
from helpers.attacks import Threat, known
from helpers.attacks.noise import noise
from helpers.data.scanner import draw_volume
from helpers.experiments import audit, evaluate, transfer
from helpers.profiles import profile

# four ways to look robust, and what they hide behind: each is zero-filled, whose worst case is found in a few steps
PLANTED = '''
import torch
from helpers.methods.zero_filled import reconstruct

def honest(kspace, mask):
    return reconstruct(kspace, mask)

def blind(kspace, mask):
    """It has no gradient at all."""
    return reconstruct(kspace.detach(), mask)

def zero(kspace, mask):
    """Its gradient is there, and zero."""
    return reconstruct(kspace.detach(), mask) + 0 * kspace.abs().sum()

def shattered(kspace, mask):
    """The same image to a thousandth, and the gradient of the ripple on it."""
    image = reconstruct(kspace, mask)
    peak = image.detach().amax((-2, -1), keepdim=True)
    return image.detach() + 1e-3 * peak * torch.sin(1e5 * image / peak)

def chance(kspace, mask):
    """Another image every time."""
    image = reconstruct(kspace, mask)
    return image + 0.1 * image.amax((-2, -1), keepdim=True) * torch.randn_like(image)
'''


@pytest.fixture(scope="module")
def item():
    return draw_volume("knee", 0, profile("smoke"), slices=1)[0]


@pytest.fixture(scope="module")
def planted(item, tmp_path_factory):
    """What the audit of each planted method says at one strength: name to the rows of `findings.audit.checks`."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted_methods.py").write_text(PLANTED)
    sys.path.insert(0, str(folder))
    names = ("honest", "blind", "zero", "shattered", "chance")
    try:
        found = {name: list(audit.rows(item, f"planted_methods:{name}", (0.05,), steps=6)) for name in names}
    finally:
        sys.path.remove(str(folder))
    return {name: findings.audit.checks(findings.audit.shares(pd.DataFrame(rows))) for name, rows in found.items()}


def test_an_honest_method_is_trusted_in_both_scores(planted):
    said = planted["honest"]
    assert len(said) == 2 and said["trusted"].all(), said.T
    assert (said["own"] > 0.95).all()


@pytest.mark.parametrize(
    ("name", "check"), [("blind", "gradient"), ("zero", "gradient"), ("shattered", "gradient"), ("chance", "repeats")]
)
def test_a_method_that_hides_is_refused(planted, name, check):
    assert not planted[name]["trusted"].any() and not planted[name][check].any(), planted[name].T


def test_what_is_refused_carries_no_ranking(item, planted):
    table = pd.DataFrame(audit.rows(item, audit.LINEAR, (0.02,), steps=20))
    shares = findings.audit.shares(table)
    assert findings.audit.trusted(shares, 0.02, "psnr") == {audit.LINEAR}
    assert not findings.audit.trusted(shares, 0.02, "ssim")  # in which it was not audited
    assert not findings.audit.trusted(shares, 0.04, "psnr")  # nor at this strength
    for worse in ({"flattened": 0.2}, {"first_gradient": 0.0}, {"repeated": 0.3}, {"foretold": 5.0}):
        assert not findings.audit.trusted(shares.assign(**worse), 0.02, "psnr"), worse
    weak = shares.assign(share=shares["share"].where(shares["attack"] != audit.OWN, 0.8))
    assert not findings.audit.trusted(weak, 0.02, "psnr")


def test_the_audit_knows_the_worst_case_of_sense(item):
    rows = pd.DataFrame(audit.rows(item, audit.LINEAR, (0.02, 0.05)))
    assert (rows["loss"] <= rows["exact"] * 1.001).all() and (rows["loss"] > rows["clean"]).all()
    own = rows[(rows["attack"] == audit.OWN) & (rows["steps"] == known.STEPS)]
    assert (own["loss"] > 0.98 * own["exact"]).all() and (own["flattened"] < 0.1).all()
    assert rows[rows["attack"] == "noise"]["loss"].max() < own["loss"].min()
    marks = rows[rows["attack"] == audit.OWN].groupby("eps")["steps"].apply(list)
    assert all(each == [*audit.MARKS, known.STEPS] for each in marks)
    shares = findings.audit.shares(rows)
    assert (shares["share"] <= 1.001).all()
    panels = [axes.get_title() for axes in figures.attacks.efforts(shares[shares["steps"] > 0]).axes]
    assert panels == ["own\nfrom noise\nclimbing nmse", "pgd\nfrom noise\nclimbing nmse"]


def test_each_find_is_judged_in_both_scores(item):
    rows = pd.DataFrame(audit.rows(item, "sense", (0.03,), steps=4))
    finds = findings.audit.ends(findings.audit.shares(rows))
    assert (finds.groupby(["attack", "start", "climbed"])["score"].agg(set) == {"nmse", "ssim"}).all()
    assert finds["flattened"].notna().equals(finds["climbed"] == finds["score"])
    own = finds[finds["attack"] == audit.OWN].set_index(["climbed", "score"])["loss"]
    for score, other in (("nmse", "ssim"), ("ssim", "nmse")):
        assert own[score, score] >= own[other, score]
    assert (rows["clean"] < rows["loss"]).all() and finds.groupby("score")["share"].max().eq(1).all()


def test_what_is_audited_is_the_attack_of_the_matrix(item):
    """In single precision, in which tables of scores are not, where it comes through the same strengths."""
    matrix = pd.DataFrame(transfer.rows(item, (0.01, 0.03), names=("sense",), steps=4))
    matrix = matrix[(matrix["attacked"] == "sense") & (matrix["eps"] == 0.03)].set_index("climbed")
    rows = pd.DataFrame(audit.rows(item, "sense", (0.03,), steps=4, through=(0.01, 0.04)))
    assert set(rows["eps"]) == {0.03} and (rows["seconds"] > 0).all()
    own = rows[rows["attack"] == audit.OWN].set_index(["climbed", "score"])["loss"]
    for climbed in ("nmse", "ssim"):
        assert own[climbed, "nmse"] == pytest.approx(matrix.loc[climbed, "nmse"], rel=1e-5)
        assert own[climbed, "ssim"] == pytest.approx(1 - matrix.loc[climbed, "ssim"], rel=1e-5)


def test_a_loss_on_the_way_is_no_yardstick(item):
    """Searches see other losses than the method, as of shorter fits."""
    rows = pd.DataFrame(audit.rows(item, "sense", (0.03,), steps=8))
    plain = findings.audit.ends(findings.audit.shares(rows))["share"]
    rows.loc[rows["steps"] == 5, "loss"] *= 3
    assert findings.audit.ends(findings.audit.shares(rows))["share"].equals(plain)


def test_fits_are_attacked_with_the_stop_held_too(item):
    mask = evaluate.mask_of(item)
    y = item.kspace * mask
    threats = {
        score: Threat(methods.load("convdecoder", item), y, mask, 0.02, item.target) for score in ("nmse", "ssim")
    }
    finds = audit._others("convdecoder", item, threats, {}, 0 * y, 2, 0)
    attacks = [attack for attack, *_ in finds]
    assert {"fresh fits", "fresh fits, stop held", "consistency", "joint", "published"} <= set(attacks)


def test_the_command_refuses_a_table_of_other_strengths(tmp_path, capsys):
    """Each attack begins where that on a smaller strength came to, so that rows depend on all of them."""
    command = ["audit", "--volumes", "1", "--profile", "smoke", "--methods", audit.LINEAR, "--json", "--table"]
    table = tmp_path / "audit.csv"
    assert main([*command, str(table), "--eps", "0.08", "0.02"]) == 0
    rows, whole = pd.read_csv(table), table.read_bytes()
    assert set(rows["eps"]) == {0.02, 0.08}
    assert "--eps 0.02 0.08 " in json.loads(table.with_suffix(".json").read_text())["command"]
    assert {row["eps"] for row in map(json.loads, capsys.readouterr().out.splitlines())} == {0.02, 0.08}
    assert main([*command, str(table), "--eps", "0.02", "0.08"]) == 0 and table.read_bytes() == whole
    for other in (["--eps", "0.02"], ["--eps", "0.02", "0.08", "--through", "0.04"]):
        assert main([*command, str(table), *other]) == 2 and table.read_bytes() == whole
    assert "eps" in capsys.readouterr().err


@pytest.mark.slow
def test_the_published_attack_is_held_against_ours(item):
    """At the same strength, on the same network: more than noise, less than gradients of normal length find."""
    mask = evaluate.mask_of(item)
    y = item.kspace * mask
    threat = Threat(known.differentiable("unet", item.source), y, mask, 0.05, item.target)
    theirs = audit.as_published("unet", item, 0, threat)
    ours = known.attacks_on("unet", item, steps=10)["apgd"](threat)
    assert float(noise(threat).loss) < float(theirs.loss) < float(ours.loss)


def test_the_joint_attack_stands_beside_that_of_the_matrix(item):
    found = findings.audit.beside(findings.audit.shares(pd.DataFrame(audit.rows(item, audit.LINEAR, (0.02,)))), "joint")
    assert list(found.index) == [(audit.LINEAR, 0.02)]
    row = found.iloc[0]
    assert 0.5 < row["share", "joint"] < row["share", audit.OWN] <= 1.001


def test_starts_that_disagree_are_seen(item):
    """Ascents by APGD from elsewhere count, those through the last iterations and by PGD do not."""
    rows = pd.DataFrame(audit.rows(item, "sense", (0.03,), steps=4))
    before = findings.audit.checks(findings.audit.shares(rows))
    assert (before["starts"] > 0.9).all()
    for attack, counts in (("apgd", True), ("pgd", False), ("apgd, unrolled", False)):
        weak = rows[(rows["attack"] == "apgd") & (rows["start"] == "noise")].assign(attack=attack, start="elsewhere")
        weak["loss"] = weak["clean"] + 0.1 * (weak["loss"] - weak["clean"])
        after = findings.audit.checks(findings.audit.shares(pd.concat([rows, weak])))
        assert (after["starts"] < 0.2).all() == counts and after["starts"].equals(before["starts"]) != counts
