"""Verdicts on small features: what is planted in a table is found, and what is not is not."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from made import made_slices

from helpers import figures
from helpers.experiments import heat_maps
from helpers.findings import heat_maps as regions
from helpers.findings import pathologies
from helpers.findings.pathologies import INVENTED, MISSED

FAMILIES = {"varnet": 0.9, "unet": 0.85, "convdecoder": 0.8, "wavelet": 0.7}  # SSIM


def table(error, volumes: int = 12, protocol: str = "corrected") -> pd.DataFrame:
    """Rows of two variants of each family; error: (SSIM, finding) to the error in the box, chance beside it."""
    chance, rows = np.random.default_rng(0), []
    for family, ssim in FAMILIES.items():
        for variant, less in (("base", 0.0), ("small", 0.02)):
            for volume in range(volumes):
                of_volume = np.random.default_rng(volume).normal(0, 0.02)
                score = ssim - less + of_volume
                shown = 0.9 if family == "varnet" or volume % 3 else 0.3
                rows.append(
                    {
                        "protocol": protocol,
                        "family": family,
                        "variant": variant,
                        "volume": f"v{volume}",
                        "slice": 1,
                        "box": 0,
                        "ssim": score,
                        "ssim_object": score - 0.1,
                        "nmse_box": error(ssim - less, of_volume) + chance.normal(0, 1e-3),
                        "contrast": shown,
                        "shown_with": shown,
                        "shown_without": 0.7 if family == "wavelet" and volume < 6 else 0.1,
                    }
                )
    return pd.DataFrame(rows)


def cell(found: pd.DataFrame, words: str) -> str:
    (row,) = (each for each in found.index if words in each)
    return str(found.loc[row].iloc[0])


def test_errors_that_follow_the_score_lie_on_a_line_and_keep_the_ranking():
    found = pathologies.judged(table(lambda ssim, volume: 0.5 - 0.5 * (ssim + volume)))
    assert cell(found, "SSIM and the error in the box lie on a line, of methods").endswith(": supported")
    assert cell(found, "the higher SSIM, the smaller").endswith(": supported")
    for words in ("varnet errs less in the box than unet", "convdecoder errs less in the box than wavelet"):
        assert cell(found, words).endswith(": supported")


def test_errors_that_do_not_follow_it_are_said_not_to():
    found = pathologies.judged(table(lambda ssim, volume: 0.1 + 0.05 * (ssim < 0.8) - 0.1 * (ssim < 0.75)))
    assert cell(found, "SSIM and the error in the box lie on a line, of methods").endswith(": contradicted")
    assert "undecided" in cell(found, "the higher SSIM, the smaller")
    assert cell(found, "convdecoder errs less in the box than wavelet").endswith(": contradicted")


def test_few_volumes_give_no_verdict_and_protocols_stand_beside_each_other():
    rows = [table(lambda ssim, _: 1 - ssim, volumes=count, protocol=name) for name, count in (("a", 4), ("b", 9))]
    found = pathologies.judged(pd.concat(rows, ignore_index=True))
    assert list(found) == ["a", "b"]
    assert found["a"].str.endswith("no verdict, 4 volumes").all() and not found["b"].str.contains("no verdict").any()


def test_means_are_over_findings_that_all_variants_have():
    """An easy finding that one of them lacks would move it up; one that was measured on few does not count."""
    rows = table(lambda ssim, _: 1 - ssim)
    lacking = rows[~((rows["family"] == "unet") & (rows["volume"] == "v3"))]
    few = lacking[(lacking["family"] != "convdecoder") | lacking["volume"].isin(["v0", "v1"])]
    found = pathologies.common(few)
    assert set(found["family"]) == {"varnet", "unet", "wavelet"} and "v3" not in set(found["volume"])
    assert len(found) == 3 * 2 * 11
    fewer = pathologies.with_fewer(few)
    assert set(fewer["family"]) == set(rows["family"]) and set(fewer["volume"]) == {"v0", "v1"}
    assert pathologies.with_fewer(lacking) is None  # since `common` has them all


def test_a_volume_counts_once_in_a_mean_whatever_the_findings_in_it():
    rows = table(lambda ssim, _: 1 - ssim)
    twice = pd.concat([rows, rows[rows["volume"] == "v0"].assign(box=1)])
    assert pathologies._means(twice, "ssim", 0)[0] == pytest.approx(pathologies._means(rows, "ssim", 0)[0])


def test_two_variants_are_no_line():
    rows = table(lambda ssim, _: 1 - ssim)
    found = pathologies.judged(rows[rows["family"].isin(["varnet", "unet"]) & (rows["variant"] == "base")])
    assert cell(found, "SSIM and the error in the box lie on a line, of methods") == "not defined: undecided"


def test_findings_without_an_error_are_left_out_of_the_ranks():
    rows = table(lambda ssim, volume: 0.5 - 0.5 * (ssim + volume))
    lost = rows["volume"].isin(["v0", "v5"])
    blank = rows.assign(nmse_box=rows["nmse_box"].where(~lost))
    one, other = (pathologies._within(each, "ssim", "nmse_box", 0)[0] for each in (blank, rows[~lost]))
    assert one == pytest.approx(other)


def test_the_least_is_infinite_where_most_are_not_reached():
    eps = [0.01, 0.02, np.inf, np.inf, np.inf]
    rows = pd.DataFrame({"eps": eps, "noise_levels": 1.0, "method": "tv", "made_for": "tv", "goal": "hide"})
    found = pathologies.least(rows).loc[("tv", "hide")]
    assert found["eps, median"] == found["noise levels, median"] == np.inf and found["quartiles"] == "0.02 to inf"


def test_what_is_hidden_or_invented_is_counted_where_somebody_knows():
    rows = table(lambda ssim, _: 1 - ssim)
    rated = pathologies.with_rates(rows)
    assert rated.groupby("family")[MISSED].mean().to_dict() == pytest.approx(
        {"varnet": 0, "unet": 1 / 3, "convdecoder": 1 / 3, "wavelet": 1 / 3}
    )
    assert rated.groupby("family")[INVENTED].mean()["wavelet"] == 0.5
    shown = pathologies.rates(rows)
    assert shown.loc[("wavelet", "base"), "invents"].startswith("0.500 [")
    # of 12 volumes none: what is missed in 2.5 of 100 such dozens
    assert shown["hides"].iloc[0] == f"0.000 [0.000, {1 - 0.025 ** (1 / 12):.3f}]"
    unknown = pathologies.with_rates(rows.assign(shown_without=np.nan))
    assert unknown[[INVENTED, MISSED]].isna().all(axis=None) and pathologies.rates(unknown).empty
    found = pathologies.honest(rated)
    assert "the fewer are hidden" in found.index[0] and ": " in found.iloc[0, 0]


def test_what_does_not_vary_is_not_correlated():
    rows = pathologies.with_rates(table(lambda ssim, _: 1 - ssim).assign(shown_with=1.0))
    assert cell(pathologies.honest(rows), "the higher SSIM, the fewer are hidden") == "not defined: undecided"


def test_the_spread_is_of_the_base_alone():
    rows = pd.DataFrame({"protocol": "corrected", "family": "tv", "variant": ["half"] + ["base"] * 3})
    rows = rows.assign(volume=["v0", "v0", "v1", "v2"], slice=0, box=0)
    found = pathologies.spread(rows.assign(nmse_box=[100.0, 1.0, 2.0, 9.0])).loc["tv", "corrected"]
    assert found.to_dict() == {"median": 2, "mean": 4, "largest": 9, "findings": 3}


def test_the_misread_box_is_that_of_the_transpose():
    def share(**box):
        rows = pd.DataFrame([{"volume": "v", "slice": 0, "box": 0, **box}])
        found = pathologies.misread(rows)["findings"]
        return found[found == 1].index[0]

    assert share(x=10, y=10, width=4, height=4) == "more"  # on the diagonal it is itself
    assert share(x=10, y=30, width=4, height=4) == "none"
    assert share(x=10, y=12, width=4, height=4) == "up to a quarter"


def hidden_rows() -> pd.DataFrame:
    rows = []
    for number, eps in enumerate((0.0, 0.001, 0.002, 0.004, np.inf)):
        for method, after in (("unet", 0.49), ("varnet", 0.2 if number == 2 else 0.8)):
            told = {"made_for": "unet", "method": method, "goal": "hide", "eps": eps, "noise_levels": 10 * eps}
            rows.append(told | {"volume": f"v{number}", "before": 0.9 if number else 0.3, "after": after})
    return pd.DataFrame(rows)


def test_the_least_is_told_of_all_and_what_takes_nothing_is_counted():
    found = pathologies.least(hidden_rows()).loc[("unet", "hide")]
    assert found["eps, median"] == pytest.approx(0.002) and found["noise levels, median"] == pytest.approx(0.02)
    assert found["findings"] == 5
    assert found["by itself"] == 1 and found["not reached"] == 1
    assert pathologies.handed_on(hidden_rows().assign(made_for="unet"), "hide").loc["unet", "varnet"] == pytest.approx(
        1 / 3
    )


def maps_table(images, items) -> pd.DataFrame:
    """Lines of coarse maps; images: method to a function of the slice that gives its errors."""
    rows = []
    for item in items:
        shape = tuple(len(range(0, n - 2, heat_maps.COARSE)) for n in item.target.shape)
        for method, error in images.items():
            for row, values in enumerate(error(item, shape)):
                text = heat_maps.stored(torch.as_tensor(values))
                told = {"protocol": "corrected", "method": method, "identity": item.identity, "errors": text}
                rows.append(told | {"stride": heat_maps.COARSE, "first": row, "row": row})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def items():
    """Seven volumes with references that are larger than elsewhere, so that maps have some places within the object."""
    found = []
    for number in range(7):
        y, x = torch.meshgrid(torch.linspace(-1, 1, 96), torch.linspace(-1, 1, 96), indexing="ij")
        wave = torch.rand(96, 96, generator=torch.Generator().manual_seed(number))
        target = ((x**2 + y**2) < 0.8) * (1 + x / 2 + 0.3 * wave)
        found.append(replace(made_slices(f"v{number}", 1)[0], target=target))
    return found


def smooth(seed: int):
    """A map that varies slowly, so that neighboring lines agree."""

    def error(item, shape):
        drawn = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(item.seed(seed)))
        return 0.01 * torch.nn.functional.interpolate(drawn, shape, mode="bilinear")[0, 0].exp()

    return error


def noisy(error, seed: int):
    def changed(item, shape):
        chance = torch.Generator().manual_seed(item.seed(seed))
        return error(item, shape) * (0.1 * torch.randn(shape, generator=chance)).exp()

    return changed


def test_two_methods_that_share_a_map_have_no_regions_of_their_own(items):
    common = smooth(1)
    images = {"unet": noisy(common, 2), "tv": noisy(common, 3), "varnet": noisy(smooth(4), 5)}
    found = regions.own_regions(maps_table(images, items), items)
    assert found.loc["unet and varnet", "less"].endswith(": supported")
    assert not found.loc["unet and tv", "less"].endswith(": supported")
    row = found.loc["unet and tv"]
    assert row["halves of one agree"] == pytest.approx(row["halves of two agree"], abs=0.1)


def test_errors_where_it_is_dark_are_found_there(items):
    def dark(sign):
        def error(item, shape):
            windows = torch.nn.functional.avg_pool2d(item.target[None], 3, 1)[0]
            bright = windows[:: heat_maps.COARSE, :: heat_maps.COARSE]
            return 0.01 * (1 - sign * bright / (2 * item.target.max()))

        return error

    found = regions.dark_regions(maps_table({"wavelet": dark(1), "tv": dark(-1)}, items), items)["measured"]
    assert found["wavelet"].endswith(": supported")
    assert found["tv"].endswith(": contradicted")


def test_the_smallest_square_is_the_one_from_which_on_none_is_missed_more():
    rows = [
        {"method": method, "shape": "square", "contrast_put": 0.5, "size": size, "misses": miss, "volume": "v"}
        for method, misses in (("tv", (0.5, 0.05, 0.2, 0.1)), ("unet", (0.9, 0.9, 0.9, 0.9)))
        for size, miss in zip((1, 2, 4, 8), misses, strict=True)
    ]
    found = regions.smallest(pd.DataFrame(rows))["contrast 0.5"]
    assert found["tv"] == 8 and pd.isna(found["unet"])


def test_checks_are_told_as_shares():
    rows = [{"method": "tv", "features": 8, "at_once": error, "alone": 1.0} for error in (1.01, 0.97)]
    found = regions.trusted(pd.DataFrame(rows)).loc["tv"]
    assert (found["off by, median"], found["off by, at most"], found["places"]) == ("2.00%", "3.00%", 2)


def test_what_hides_a_finding_is_drawn_also_where_nothing_was_sought_or_reached():
    rows = hidden_rows().assign(method="unet")
    for chosen in (rows, rows[rows["eps"] == 0], rows[np.isinf(rows["eps"])]):
        figure = figures.features.least(chosen)
        assert [each.get_text() for each in figure.axes[0].get_yticklabels()] == ["unet"]
        plt.close(figure)
