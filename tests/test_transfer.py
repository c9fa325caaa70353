"""The transfer matrix: its rows, its rules, what is published and what is corrected, and what is read off it."""

import json
import shutil
import subprocess
import sys
import time
from itertools import product

import pandas as pd
import pytest
import torch

from helpers import figures, findings, methods, published
from helpers.__main__ import main
from helpers.attacks import Threat, known
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import evaluate, transfer
from helpers.profiles import profile


@pytest.fixture(scope="module")
def item():
    return draw_volume("knee", 0, profile("smoke"), slices=1)[0]


def test_the_rows_of_a_slice(item):
    rows = pd.DataFrame(transfer.rows(item, (0.03,), "corrected", ("sense", "unet"), steps=5))
    assert len(rows) == (2 + 2 * 2) * 2 and set(rows["attacked"]) == {"nothing", "noise", "sense", "unet"}
    clean = rows[rows["attacked"] == "nothing"]
    assert (clean["distance"] == 0).all() and (clean["realized"] == 0).all()
    assert rows[rows["attacked"] != "nothing"]["realized"].to_numpy() == pytest.approx(0.03, rel=1e-4)
    amplified = rows["amplification"] * rows["realized"] * float((item.kspace * evaluate.mask_of(item)).norm())
    changed = rows["distance"] * amplified.max() / rows["distance"].max()
    assert (amplified[rows["method"] == "unet"] > 0).sum() == 5 and changed.notna().all()
    loss = rows.set_index(["attacked", "climbed", "method"])
    for name in ("sense", "unet"):
        assert loss["nmse"][name, "nmse", name] > loss["nmse"]["noise", "none", name]
        assert loss["ssim"][name, "ssim", name] < loss["ssim"]["noise", "none", name]
        assert loss["nmse"][name, "nmse", name] >= loss["nmse"][name, "ssim", name]  # each is the worst by its score
        assert loss["ssim"][name, "ssim", name] <= loss["ssim"][name, "nmse", name]
    mask = evaluate.mask_of(item)
    image = evaluate.reconstruct(methods.load("unet", source="knee"), item, mask)
    assert evaluate.metrics.scores(image, item.target)["ssim"] == pytest.approx(
        clean.set_index("method")["ssim"]["unet"], abs=1e-6
    )


def test_the_published_protocol_has_the_full_kspace_for_its_norm(item):
    rows = pd.DataFrame(transfer.rows(item, (0.05,), "published", ("unet", "wavelet", "tv")))
    assert set(rows["method"]) == {"unet", "wavelet"}
    mask = published.protocol.mask(item)
    ratio = float(item.kspace.norm() / (item.kspace * mask).norm())
    image = published.protocol.reconstruct("unet", item, mask * item.kspace, mask, mask * item.kspace)
    scores = published.protocol.scores("unet", image, item.target, mask * item.kspace)
    clean = rows[rows["attacked"] == "nothing"].set_index("method")
    assert clean["psnr"]["unet"] == pytest.approx(scores["psnr"]) and clean["nmse"]["unet"] == scores["nmse"]
    realized = rows.groupby("attacked")["realized"].first()
    assert realized["noise"] == pytest.approx(0.05 * ratio, rel=1e-4)
    assert realized["unet"] <= 0.05 * ratio * 1.0001  # which stops wherever it is
    assert not list(transfer.rows(item, (0.05,), "published", ("sense",)))  # which the notebooks do not attack
    with pytest.raises(BadInput, match="no protocol"):
        next(transfer.rows(item, (0.05,), "improved"))


def test_published_attacks_move_images_and_stop(item):
    mask = evaluate.mask_of(item)
    e = published.attacks.l1(item.kspace, mask, 0.05)
    assert torch.isfinite(torch.view_as_real(e)).all() and not (e * ~mask).any()
    method, y = (
        (lambda k, m: published.reconstruction.l1(k, m, lam=0.0, step=published.attacks.L1_STEP)),
        item.kspace * mask,
    )
    by_chance = torch.randn(e.shape, dtype=e.dtype, generator=torch.Generator().manual_seed(0)) * mask
    moved, noisy = (
        (method(y + each * (e.norm() / each.norm()), mask) - method(y, mask)).norm() for each in (e, by_chance)
    )
    assert moved > noisy
    ball = published.attacks.Ball(torch.ones(3, 4, dtype=torch.complex64).norm(), 0.1)
    for _ in range(101):
        assert not ball.done
        e = ball.project(torch.ones(3, 4, dtype=torch.complex64))
        assert float(e.norm()) == pytest.approx(0.1 * 12**0.5)
    assert ball.done


def test_no_curve_turns_back(item):
    """What is found at one strength counts at the next, where it is allowed: an attack of one step loses nothing."""
    rows = pd.DataFrame(transfer.rows(item, (0.06, 0.02, 0.03), "corrected", ("unet",), steps=1))
    own = rows[rows["attacked"] == "unet"].set_index(["climbed", "eps"])
    assert own["nmse"]["nmse"].is_monotonic_increasing and own["ssim"]["ssim"].is_monotonic_decreasing
    assert (own["realized"] <= own.index.get_level_values("eps") * 1.0001).all()
    carried = own["realized"] < own.index.get_level_values("eps") * 0.9999
    assert (own["attack"][carried] == "transferred").all()


def test_what_was_known_begins_an_attack(item):
    """A single step from the find of another attack does at least its harm; from the worst for SENSE it does less."""
    mask = evaluate.mask_of(item)
    y = item.kspace * mask
    threat = Threat(known.differentiable("unet", "knee"), y, mask, 0.03, item.target)
    far = known.attacks_on("unet", item, steps=15)["apgd"](threat)
    anew, on = (known.attacks_on("unet", item, steps=1, known=more)["apgd"](threat) for more in ((), (0.5 * far.e,)))
    assert float(on.loss) >= float(far.loss) * (1 - 1e-4) > float(anew.loss)


def planted(lost: dict, volumes: int = 6, names: tuple[str, ...] = ("unet", "wavelet")) -> pd.DataFrame:
    """A matrix in which a perturbation takes a known amount off each method."""
    rows = [
        {"protocol": "corrected", "eps": 0.02, "volume": f"v{v}", "slice": 0, "attacked": a, "method": m}
        | {"climbed": "none" if a in ("nothing", "noise") else "nmse"}
        | {"ssim": 0.9 + 0.001 * v - lost.get((a, m), 0.0)}
        for v, a, m in product(range(volumes), ["nothing", "noise", *names], names)
    ]
    return pd.DataFrame(rows)


def test_losses_and_verdicts_are_read_off_the_matrix():
    lost = {("unet", "unet"): 0.2, ("wavelet", "wavelet"): 0.1, ("unet", "wavelet"): 0.15, ("noise", "unet"): 0.01}
    table = planted(lost)
    found = findings.transfer.lost(table).set_index(["attacked", "method"])["mean"]
    for pair, value in lost.items():
        assert found[pair] == pytest.approx(value)
    assert found["worst", "wavelet"] == pytest.approx(0.15)
    whose = findings.transfer.whose(table, 0.02).loc["wavelet"]
    assert whose["its own"] == pytest.approx(0.1) and whose["noise"] == pytest.approx(0, abs=1e-9)
    assert whose["another's"] == pytest.approx(0.15) and whose["made for"] == "unet"
    judged = findings.transfer.judged(table, 0.02, {"unet"})["corrected"]
    assert judged["unet is hurt more by its own perturbation than by noise"].endswith("supported")
    assert judged["what is found for wavelet hurts unet less than wavelet"].endswith("supported")
    assert judged["what is found for unet hurts wavelet less than unet"].startswith("0.050")
    assert not judged.index.str.contains("convdecoder").any()


def test_no_ranking_rests_on_an_attack_that_may_be_too_weak():
    """What seems to lose less must have been attacked well; what loses more has lost that much anyway."""
    claim = findings.verdicts.Claim(
        "varnet is less robust than unet", ("varnet", "varnet"), ("unet", "unet"), ranking=True
    )
    above, below = "supported", "contradicted"
    assert findings.verdicts.judged(claim, above, {"unet"}) == "supported"
    assert findings.verdicts.judged(claim, above, {"varnet"}).startswith("no verdict, the attack on unet")
    assert findings.verdicts.judged(claim, below, {"varnet"}) == "contradicted"
    assert findings.verdicts.judged(claim, below, {"unet"}).startswith("no verdict, the attack on varnet")
    assert findings.verdicts.judged(claim, below, None) == "contradicted"


def test_an_attack_that_another_outdoes_carries_no_ranking():
    """The U-Net seems to lose least; what was made for l1 hurts it more than its own perturbation."""
    lost = {("unet", "unet"): 0.1, ("wavelet", "unet"): 0.2, ("wavelet", "wavelet"): 0.3, ("varnet", "varnet"): 0.25}
    table = planted(lost, names=("unet", "varnet", "wavelet"))
    assert findings.transfer.carried(findings.transfer.losses(table), {"unet", "varnet", "wavelet", "sense"}) == {
        "varnet",
        "wavelet",
    }
    judged = findings.transfer.judged(table, 0.02, {"unet", "varnet", "wavelet"})["corrected"]
    assert judged["varnet is less robust than unet"].endswith("no verdict, the attack on unet may be too weak")
    assert judged["varnet is less robust than wavelet"].endswith("contradicted")


def test_an_attack_is_held_against_another_where_both_were_tried():
    """On slices without the ConvDecoder the U-Net's own attack is the worst known, which says nothing for it."""
    lost = {("unet", "unet"): 0.1, ("convdecoder", "unet"): 0.115, ("convdecoder", "convdecoder"): 0.2}
    table = planted(lost, 10, ("unet", "convdecoder"))
    few = table[(table["volume"] < "v6") | ((table["attacked"] != "convdecoder") & (table["method"] == "unet"))]
    wide = findings.transfer.losses(few)
    assert wide["unet", "unet"].mean() > 0.9 * wide["worst", "unet"].mean()  # over all of the slices
    assert findings.transfer.carried(wide, {"unet", "convdecoder"}) == {"convdecoder"}
    found = findings.transfer.found_by_own(few)["eps 0.02"]
    assert found["unet", "of the mean, n = 6"] == pytest.approx(0.1 / 0.115)
    assert findings.transfer.whose(few, 0.02).loc["unet", "made for"] == "convdecoder"


def test_rankings_at_every_strength_are_judged_together(monkeypatch):
    lost = {("unet", "unet"): 0.1, ("wavelet", "wavelet"): 0.3, ("varnet", "varnet"): 0.2}
    table = planted(lost, names=("unet", "varnet", "wavelet"))
    table = pd.concat([table, table.assign(eps=0.04)])
    audited = pd.DataFrame({"eps": [0.04]})
    monkeypatch.setattr(
        findings.audit, "trusted", lambda table, eps, score: {"unet", "varnet"} if eps in set(table["eps"]) else set()
    )
    found = findings.transfer.ranked(table, audited)
    assert list(found.columns) == ["eps 0.02", "eps 0.04"] and len(found) == 2
    assert found.loc["varnet is less robust than unet", "eps 0.04"].endswith("supported")
    assert found["eps 0.02"].str.contains("may be too weak").all()
    assert "The 4 claims" in findings.verdicts.sentence(found)


def test_what_a_methods_own_attack_found_of_the_worst():
    table = planted({("unet", "unet"): 0.1, ("wavelet", "unet"): 0.2, ("wavelet", "wavelet"): 0.3})
    found = findings.transfer.found_by_own(pd.concat([table, table.assign(eps=0.04)]))
    assert list(found.columns) == ["eps 0.02", "eps 0.04"]
    assert found.loc["unet"].to_numpy() == pytest.approx(0.5) and found.loc["wavelet"].to_numpy() == pytest.approx(1)


def test_untrained_networks_are_measured_on_fewer_slices_and_figures_say_so():
    names = ("unet", "convdecoder", "my_module:reconstruct")
    assert transfer.measured_on(transfer.FITTED - 1, names) == names
    assert transfer.measured_on(transfer.FITTED, names) == ("unet", "my_module:reconstruct")
    table = planted({("unet", "unet"): 0.1, ("convdecoder", "convdecoder"): 0.2}, 8, ("unet", "convdecoder"))
    assert findings.transfer.counted(table) == "n = 8 slices"
    fewer = table[(table["volume"] < "v6") | ((table["attacked"] != "convdecoder") & (table["method"] == "unet"))]
    assert findings.transfer.counted(fewer) == "n = 8 slices, 6 with convdecoder"
    assert "mean of n = 8 slices, 6 with convdecoder" in figures.attacks.matrix(fewer, 0.02).axes[0].get_title()
    whose = findings.transfer.whose(fewer, 0.02)
    assert (whose["n"] == 6).all() and whose.loc["convdecoder", "its own"] == pytest.approx(0.2)
    judged = findings.transfer.judged(fewer, 0.02, {"unet", "convdecoder"})["corrected"]
    claim = judged["unet is less robust than convdecoder"]  # on the slices that both have, whose losses are the same
    assert claim.startswith("-0.100 [-0.100, -0.100]") and claim.endswith("contradicted")


def test_figures_of_the_matrix():
    table = planted({("unet", "unet"): 0.2, ("wavelet", "wavelet"): 0.1})
    table = pd.concat([table, table.assign(eps=0.04)])
    assert len(figures.attacks.strengths(table).axes) == 3
    axes = figures.attacks.matrix(table, 0.02).axes[0]
    assert axes.get_title() == "corrected, eps 0.02, mean of n = 6 slices"
    assert [text.get_text() for text in axes.texts][:2] == ["0.000", "0.000"]


def test_the_command_resumes_to_the_same_table(tmp_path, capsys):
    table = tmp_path / "transfer.csv"
    command = ["transfer", "--volumes", "2", "--profile", "smoke", "--methods", "zero-filled", "--eps", "0.02", "0.04"]
    command += ["--protocol", "corrected", "--steps", "2", "--table", str(table), "--json"]
    assert main(command) == 0
    whole = table.read_bytes()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["attacked"] for row in rows} == {"nothing", "noise", "zero-filled"} and all(
        row["n"] == 2 for row in rows
    )
    table.unlink()
    with subprocess.Popen([sys.executable, "-m", "helpers", *command, "--jobs", "2"], stdout=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and run.poll() is None and not table.is_file():
            time.sleep(0.001)
        run.kill()  # kill -9
    left = table.read_bytes()
    assert 0 < left.count(b"\n") < whole.count(b"\n") and whole.startswith(left.splitlines(keepends=True)[0])
    assert main(command) == 0 and table.read_bytes() == whole
    made = table.with_suffix(".json")
    said = made.read_text()
    made.write_text(said.replace("--volumes 2", "--volumes 1"))  # as a shorter command that began the table
    assert main(command) == 0 and made.read_text() == said
    assert main([*command[:1], "--volumes", "0"]) == 2
    assert main([*command[:1], "--methods", "magic"]) == 2
    assert main([*command[:1], "--data", "brain", "--acquisition", "CORPD_FBK", "--volumes", "1"]) == 2
    assert "CORPD_FBK" in capsys.readouterr().err


@pytest.mark.parametrize(("source", "acquisition"), [("knee", "CORPD_FBK"), ("brain", None), ("stanford", "CUBE")])
def test_every_source_has_slices_without_naming_an_acquisition(source, acquisition):
    (item,) = transfer.slices(source, "smoke", 1)
    assert item.source == source and acquisition in (None, item.acquisition)


def test_a_fit_without_a_gradient_begins_at_the_worst_for_sense(item, monkeypatch):
    """Else noise alone would be its own attack."""
    begun = {}

    def by_strength(name, item, y, mask, strengths, steps, seed, known):
        begun[name] = {eps: len(each) for eps, each in known.items()}
        return iter(())

    monkeypatch.setattr(transfer, "by_strength", by_strength)
    monkeypatch.setattr(transfer, "reconstruction", lambda name, item, kspace, mask: (item.target, None))
    list(transfer.rows(item, (0.02,), "corrected", ("convdecoder-first", "convdecoder", "unet")))
    # beside it the noise that was tried first
    assert begun == {"unet": {0.02: 1}, "convdecoder-first": {0.02: 2}, "convdecoder": {0.02: 1}}


def test_an_acquisition_is_found_behind_all_others(tmp_path):
    words = ["--volumes", "1", "--slices", "1", "--profile", "smoke", "--source"]
    for source in ("knee", "brain"):
        assert main(["data", str(tmp_path / source), *words, source]) == 0
    (knee,), (brain,) = ((tmp_path / source).rglob("*.h5") for source in ("knee", "brain"))
    for number in range(9):
        shutil.copy(knee, tmp_path / f"a{number}.h5")
    shutil.move(brain, tmp_path / "z.h5")
    shutil.rmtree(tmp_path / "knee")
    shutil.rmtree(tmp_path / "brain")
    (found,) = transfer.slices(str(tmp_path), "smoke", 1, "AXFLAIR")
    assert found.volume == "z"
