"""Measuring: what a method is shown, what is scored, and what is written down."""

import json

import pandas as pd
import pytest
import torch

from helpers import findings, places, stats
from helpers.data.scanner import Synthetic
from helpers.errors import BadInput
from helpers.experiments import evaluate, tuning
from helpers.experiments.provenance import provenance
from helpers.mri.rss import rss
from helpers.profiles import profile


@pytest.fixture(scope="module")
def slices():
    return list(Synthetic("knee", "test", 2, 2, profile("smoke")))


def test_a_method_sees_the_measured_entries_alone(slices):
    seen = {}

    def method(kspace, mask):
        seen["kspace"], seen["mask"] = kspace, mask
        return rss(kspace)

    mask = evaluate.mask_of(slices[0])
    evaluate.reconstruct(method, slices[0], mask)
    assert torch.equal(seen["mask"], mask)
    assert not seen["kspace"][..., ~mask].any()
    assert torch.equal(seen["kspace"][..., mask], slices[0].kspace[..., mask])


def test_slices_of_a_volume_share_their_mask_and_volumes_do_not(slices):
    masks = [evaluate.mask_of(item) for item in slices]
    assert torch.equal(masks[0], masks[1]) and torch.equal(masks[2], masks[3])
    assert not torch.equal(masks[0], masks[2])
    assert not torch.equal(masks[0], evaluate.mask_of(slices[0], seed=1))


def test_a_perfect_method_scores_one(slices):
    """Every line measured: the zero-filled image is the target itself."""
    (row, *_) = evaluate.rows(["zero-filled"], slices[:1], acceleration=1)
    assert row["ssim"] == pytest.approx(1, abs=1e-5)  # float32 against float32, transformed there and back
    assert row["acceleration"] == 1


@pytest.mark.parametrize(
    "method, sentence",
    [
        (lambda kspace, mask: rss(kspace)[:-1], "must return an image of"),
        (lambda kspace, mask: kspace[0], "real, finite"),
        (lambda kspace, mask: rss(kspace) * torch.nan, "real, finite"),
    ],
)
def test_an_image_that_cannot_be_scored(slices, method, sentence):
    with pytest.raises(BadInput, match=sentence):
        evaluate.reconstruct(method, slices[0], evaluate.mask_of(slices[0]))


def test_rows_are_tidy(slices):
    own = {"mine": lambda kspace, mask: rss(kspace)}
    rows = evaluate.table(evaluate.rows(own, slices))
    assert len(rows) == len(slices) and set(rows["method"]) == {"mine"} and set(rows["family"]) == {"own"}
    wanted = "method family anatomy volume slice snr ssim psnr nmse ssim_object nmse_object seconds"
    assert set(wanted.split()) <= set(rows.columns)


def test_a_slice_without_a_target_is_not_scored(slices):
    from dataclasses import replace

    assert list(evaluate.rows(["zero-filled"], [replace(slices[0], target=None)])) == []


def test_tuning_finds_a_planted_optimum():
    rows = [
        {"lam": lam, "identity": str(v), "ssim": 0.8 - (lam - best) ** 2}
        for v, best in enumerate([0.2, 0.3, 0.4])
        for lam in (0.1, 0.2, 0.3, 0.4, 0.5)
    ]
    found = tuning.best(pd.DataFrame(rows))
    assert found["lam"] == 0.3 and found["n"] == 3


def test_tuning_remembers_and_forgets_nothing_else(tmp_path, capsys):
    path = tmp_path / "tuned.json"
    first, other, second, small = ({"lam": lam, "profile": "laptop"} for lam in (1, 2, 3, 4))
    tuning.remember("tv", "knee", first, path)
    tuning.remember("tv", "brain", other, path)
    tuning.remember("tv", "knee", second, path)
    tuning.remember("tv", "knee", small | {"profile": "smoke"}, path)
    assert json.loads(path.read_text()) == {"tv": {"brain": other, "knee": second}}
    assert "keeps the weight 3 of tv on knee, which was found on larger slices (laptop)" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["tuned.json"]


def test_provenance_says_where_a_result_comes_from():
    made = provenance("python -m helpers evaluate tv", seed=3, n=7)
    assert made["command"].startswith("python") and (made["seed"], made["n"], made["device"]) == (3, 7, "cpu")
    assert made["versions"]["torch"] == torch.__version__


KNEE = {"family": "linear", "anatomy": "knee"}


def test_networks_are_matched_with_what_they_were_trained_on():
    names = ["tv", "unet-knee", "unet-brain", "unet-knee-small", "varnet-both"]
    rows = [{"method": name, "family": "network" if "-" in name else "sparsity", "anatomy": "knee"} for name in names]
    assert findings.quality.matched(pd.DataFrame(rows))["method"].tolist() == ["tv", "unet"]


def test_claims_by_margin_and_in_bands():
    gains = {"a": 0.0, "b": 0.1}
    rows = [
        {"method": m, "source": "knee", "snr": snr, "volume": v, "slice": 0, "ssim": gain * (snr < 50)} | KNEE
        for m, gain in gains.items()
        for v, snr in enumerate([20] * 6 + [60] * 6 + [200] * 5)
    ]
    table = findings.quality.snr_bands(pd.DataFrame(rows), edges=(35, 100))
    assert table["snr"].unique().tolist() == ["SNR below 35", "SNR 35 to 100", "SNR above 100"]
    found = findings.quality.claims(
        table[table["snr"] != "SNR above 100"], [("b", "a"), ("c", "a")], by="snr", margin=0.05
    )
    assert found.index.tolist() == [("b above a by 0.05", "SNR below 35"), ("b above a by 0.05", "SNR 35 to 100")]
    assert found["SSIM"].tolist() == ["0.100 [0.100, 0.100]: supported", "0.000 [0.000, 0.000]: contradicted"]
    few = findings.quality.claims(table, [("b", "a")], by="snr").loc[("b above a", "SNR above 100")]
    assert few["SSIM"].endswith(": no verdict, 5 volumes") and few["volumes"] == 5
    assert findings.quality.claims(table, [("c", "a")]).empty


def test_findings_say_what_the_table_says():
    gains = {"zero-filled": 0.0, "sense": 0.05, "wavelet": 0.15, "tv": 0.15}
    rows = [
        {"method": m, "source": "knee", "volume": v, "slice": 0, "ssim": 0.5 + 0.01 * v + gain} | KNEE
        for m, gain in gains.items()
        for v in range(6)
    ]
    said = findings.quality.findings(pd.DataFrame(rows))
    assert said.loc["wavelet above zero-filled", "knee"] == "0.150 [0.150, 0.150]: supported"
    assert "undecided" in said.loc["tv above wavelet", "knee"]  # it is no better in this table


def test_the_nearest_strength_of_a_table():
    table = pd.DataFrame({"eps": [0.02, 0.08, 0.02]})
    assert [findings.shipped.nearest(table, eps) for eps in (0.001, 0.04, 0.06, 1)] == [0.02, 0.02, 0.08, 0.08]


def test_a_missing_table_is_a_sentence():
    with pytest.raises(BadInput, match="make it with python -m helpers"):
        findings.shipped.table("nothing-of-that-name")


def test_shipped_results_are_complete():
    """Every table in results/ says where it comes from, and the quality table holds paired rows."""
    for path in places.RESULTS.glob("*.csv"):
        made = json.loads(path.with_suffix(".json").read_text())
        assert made["n"] == len(pd.read_csv(path)) and made["command"].startswith("python -m helpers")
    quality = findings.shipped.table("quality")
    assert not quality.duplicated(["source", "method", "volume", "slice"]).any()
    matched = findings.quality.matched(quality)
    for source in ("knee", "brain"):
        for method in ("wavelet", "unet", "varnet"):
            assert stats.difference(matched[matched["source"] == source], method, "zero-filled").n == 40
