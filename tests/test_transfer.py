"""The transfer matrix: its rows, its rules, what is published and what is corrected, and what is read off it."""

import json
import subprocess
import sys
import time
from itertools import product

import pandas as pd
import pytest
import torch

from helpers import figures, findings, methods, published
from helpers.__main__ import main
from helpers.attacks import known
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import audit, evaluate, transfer
from helpers.profiles import profile


@pytest.fixture(scope="module")
def item():
    return draw_volume("knee", 0, profile("smoke"), slices=1)[0]


def test_the_rows_of_a_slice(item):
    rows = pd.DataFrame(transfer.rows(item, 0.03, "corrected", ("sense", "unet"), steps=5))
    assert len(rows) == 4 * 2 and set(rows["attacked"]) == {"nothing", "noise", "sense", "unet"}
    clean = rows[rows["attacked"] == "nothing"]
    assert (clean["distance"] == 0).all() and (clean["realized"] == 0).all()
    assert rows[rows["attacked"] != "nothing"]["realized"].to_numpy() == pytest.approx(0.03, rel=1e-4)
    loss = rows.set_index(["attacked", "method"])["nmse"]
    for name in ("sense", "unet"):
        assert loss[name, name] > loss["noise", name]
    mask = evaluate.mask_of(item)
    image = evaluate.reconstruct(methods.load("unet", source="knee"), item, mask)
    assert evaluate.metrics.scores(image, item.target)["ssim"] == pytest.approx(
        clean.set_index("method")["ssim"]["unet"], abs=1e-6
    )


def test_the_published_protocol_has_the_full_kspace_for_its_norm(item):
    rows = pd.DataFrame(transfer.rows(item, 0.05, "published", ("unet", "wavelet", "tv")))
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
    assert not list(transfer.rows(item, 0.05, "published", ("sense",)))  # which the notebooks do not attack
    with pytest.raises(BadInput, match="no protocol"):
        next(transfer.rows(item, 0.05, "improved"))


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


def planted(lost: dict, volumes: int = 6, names: tuple[str, ...] = ("unet", "wavelet")) -> pd.DataFrame:
    """A matrix in which a perturbation takes a known amount off each method."""
    rows = [
        {"protocol": "corrected", "eps": 0.02, "volume": f"v{v}", "slice": 0, "attacked": a, "method": m}
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
    assert findings.verdicts.judged(claim, "corrected", above, {"unet"}) == "supported"
    assert findings.verdicts.judged(claim, "corrected", above, {"varnet"}).startswith("no verdict, the attack on unet")
    assert findings.verdicts.judged(claim, "corrected", below, {"varnet"}) == "contradicted"
    assert findings.verdicts.judged(claim, "corrected", below, {"unet"}).startswith("no verdict, the attack on varnet")
    assert findings.verdicts.judged(claim, "published", below, ()) == "contradicted"


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


def test_the_audit_knows_the_worst_case_of_sense(item, monkeypatch):
    monkeypatch.setattr(audit, "STEPS", (5, 40))
    rows = pd.DataFrame(audit.rows(item, audit.LINEAR))
    assert (rows["loss"] <= rows["exact"] * 1.001).all() and (rows["loss"] > rows["clean"]).all()
    longest = rows[(rows["attack"] == "apgd") & (rows["steps"] == 40)]
    assert (longest["loss"] > 0.98 * longest["exact"]).all() and (longest["flattened"] < 0.1).all()
    assert (rows[rows["attack"] == "noise"]["loss"] < longest["loss"].min()).all()
    shares = findings.audit.shares(rows)
    assert (shares["share"] <= 1.001).all() and "climbing: **none**" in findings.audit.sentence(shares)
    eps = audit.EPS
    assert findings.audit.trusted(shares, eps) == set(shares["method"])
    assert not findings.audit.trusted(shares.assign(flattened=0.2), eps) and not findings.audit.trusted(shares, 2 * eps)
    panels = [axes.get_title() for axes in figures.attacks.efforts(shares[shares["steps"] > 0]).axes]
    assert panels == ["apgd\nfrom noise", "pgd\nfrom noise"]


def test_the_audit_of_several_strengths_goes_on(tmp_path, capsys):
    command = ["audit", "--volumes", "1", "--profile", "smoke", "--methods", "zero-filled", "--json", "--table"]
    table = tmp_path / "audit.csv"
    assert main([*command, str(table), "--eps", "0.08"]) == 0
    assert main([*command, str(table), "--eps", "0.02", "0.08"]) == 0
    rows = pd.read_csv(table)
    assert set(rows["eps"]) == {0.02, 0.08} and not rows.duplicated([*audit.KEYS, "attack", "start", "steps"]).any()
    assert "--eps 0.02 0.08 " in json.loads(table.with_suffix(".json").read_text())["command"]
    assert {row["eps"] for row in map(json.loads, capsys.readouterr().out.splitlines())} == {0.02, 0.08}
    shares = findings.audit.shares(rows)
    assert (shares.groupby("eps")["share"].max() == 1).all()  # each strength has its own worst


def test_one_long_ascent_is_held_against_two_short_ones():
    found = {("noise", 20): 0.7, ("the worst for SENSE", 20): 0.8, ("noise", 40): 0.9, ("the worst for SENSE", 40): 1.0}
    rows = [
        {
            "method": "unet",
            "attack": "apgd",
            "eps": 0.02,
            "volume": volume,
            "slice": 0,
            "start": start,
            "steps": steps,
            "share": share,
        }
        for volume, worse in (("a", 0.0), ("b", 0.2))
        for (start, steps), share in ((key, share - worse) for key, share in found.items())
    ]
    said = findings.audit.deep_or_wide(pd.DataFrame(rows))
    assert said.round(6).to_dict("index") == {
        "unet": {"40 steps from the worst for SENSE": 0.9, "20 from two starts": 0.7}
    }


def test_the_shipped_audit_is_of_the_attack_of_the_shipped_matrix():
    """Else a ranking would be carried by an attack that was not made."""
    made = json.loads((findings.shipped.FOLDER / "transfer.json").read_text())["command"]
    assert f"--steps {known.STEPS} " in made and findings.shipped.table("audit")["steps"].max() == known.STEPS


def test_the_audit_holds_the_published_attack_against_ours(item, monkeypatch):
    """At the same strength, on the same network: more than noise, less than gradients of normal length find."""
    monkeypatch.setattr(audit, "STEPS", (10,))
    found = pd.DataFrame(audit.rows(item, "unet", 0.05)).groupby("attack")["loss"].max()
    assert found["noise"] < found["published"] < found["apgd"]
