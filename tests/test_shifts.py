"""Laws of distribution shifts: none costs nothing, units change no corrected score, and what the published fixes do."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import h5py
import pandas as pd
import pytest
import torch

from helpers import findings, methods, published, stats
from helpers.__main__ import main
from helpers.data.fastmri import write_volume
from helpers.data.scanner import draw_volume
from helpers.errors import BadInput
from helpers.experiments import hard, shifts, tables
from helpers.experiments.shifts import Side
from helpers.findings import shipped
from helpers.mri.fourier import fft2c, ifft2c
from helpers.mri.rss import rss
from helpers.profiles import profile
from helpers.shifts import groups, like
from helpers.shifts.lines import COINS, CUT, PUBLISHED, measured

SMOKE = profile("smoke")


@pytest.fixture(scope="module")
def stanford():
    return draw_volume("stanford", 0, SMOKE, slices=1)[0]


def test_a_shift_from_a_domain_to_itself_costs_nothing_to_the_bit():
    start, end = shifts.between("knee", "knee", "knee")
    for item in shifts.slices("knee", SMOKE, 2):
        for family in ("unet", "varnet", "wavelet", "tv"):
            before, after = (shifts.row(item, side, family, "base") for side in (start, end))
            assert before | {"side": "out"} == after


def test_a_scan_made_like_another_is_like_it(stanford):
    (first,) = shifts.slices("knee", SMOKE, 1)
    found = like.differences([first], [stanford])
    assert like.differences([first], [first]) == {} and set(found) == {like.NOISE, like.REFERENCE}
    assert found[like.NOISE] == pytest.approx(first.snr / stanford.snr)
    for thing, level in found.items():
        changed = like.like(first, thing, level)
        assert changed.snr == pytest.approx(stanford.snr) and like.differences([changed], [stanford]) == {}
        grain = changed.target - like.like(first, like.NOISE, level).target
        assert bool(grain.any()) == (thing == like.REFERENCE)
    few = like.like(first, like.COILS, 0.5)
    assert like.differences([first], [few]) == {like.COILS: 0.5}
    coarse = like.like(first, like.MATRIX, 0.5)
    assert like.differences([first], [coarse]) == {like.MATRIX: 0.5}


def test_a_shift_is_measured_on_a_readers_folder_in_the_place_of_drawn_slices(tmp_path):
    words = ["--source", "brain", "--volumes", "2", "--slices", "1", "--profile", "smoke"]
    assert main(["data", str(tmp_path), *words]) == 0
    options = {"families": ["unet"], "profile": SMOKE, "variants": 1}
    drawn, yours = (shifts.live("anatomy", data=data, **options) for data in ("", str(tmp_path)))
    keys = ["protocol", "domain", "side", "volume"]
    assert len(drawn) == len(yours) and set(yours["slices"]) == {"knee", str(tmp_path)}
    assert len(drawn.merge(yours, on=[*keys, "acquisition"])) == len(drawn), "the same slices in another place"
    again = shifts.live("anatomy", data=str(tmp_path), known=drawn, **options)
    assert set(again.loc[again["shipped"], "slices"]) == {"knee"}, "what is drawn is not measured again"
    keys = ["protocol", "domain", "side", "volume", "ssim"]
    whole = yours[yours["side"].isin(["in", "out", "mask"])]
    assert len(whole.merge(again, on=keys)) == len(whole)
    assert "10 rows were" in (told := shipped.whence(again, "real")) and "the others are of n =" in told, told
    site = shifts.live("site", data=str(tmp_path), **options)
    assert set(site["domain"]) == {"brain"} and set(site["slices"]) == {"brain", str(tmp_path)}
    assert not site.duplicated(keys).any()


def test_a_readers_second_site_is_treated_as_the_drawn_one(tmp_path):
    (drawn,) = shifts.slices("stanford", SMOKE, 1)
    write_volume(tmp_path / f"{drawn.volume}.h5", [drawn])
    found = {}
    for data in ("stanford", str(tmp_path)):
        (item,) = shifts.slices(data, SMOKE, 1)
        for protocol, name in product(shifts.PROTOCOLS, ("out", shifts.RAW)):
            side = Side("site", protocol, "knee", name, data, "random")
            seen = (shifts.corrected if protocol == "corrected" else shifts.as_published)(item, side)
            image = seen.crop(rss(ifft2c(seen.kspace))) / seen.target.max()  # around it there is air, drawn anew
            found[data, protocol, name] = seen.kspace.shape, image
    for (_, *key), (shape, image) in found.items():
        other, same = found["stanford", *key]
        assert shape == other
        torch.testing.assert_close(image, same, rtol=1e-4, atol=1e-4)
    rows = {key: shape[-2] for key, (shape, _) in found.items()}
    assert rows["stanford", "corrected", "out"] == 2 * rows["stanford", "corrected", shifts.RAW]


def test_hard_slices_are_of_one_anatomy(tmp_path, capsys):
    for source in ("knee", "brain"):
        words = ["--source", source, "--volumes", "1", "--slices", "2", "--profile", "smoke"]
        assert main(["data", str(tmp_path), *words]) == 0
    found = hard.table(SMOKE, 2, str(tmp_path))
    assert set(found["anatomy"]) == {"brain"} and len(found) == 2, "the first by name"
    assert "more than one anatomy" in capsys.readouterr().err


def test_the_units_of_the_second_site_change_no_corrected_score_and_ruin_the_published_l1(stanford):
    unit = 1e10
    louder = replace(stanford, kspace=unit * stanford.kspace, target=unit * stanford.target)
    (side,) = (each for each in shifts.sides("site", "corrected") if each.side == "out")
    for family in ("unet", "varnet", "wavelet", "tv"):
        scores = [shifts.row(item, side, family, "base") for item in (stanford, louder)]
        for name in ("ssim", "ssim_object", "nmse"):
            assert scores[0][name] == pytest.approx(scores[1][name], abs=1e-4)
    y = stanford.kspace * (mask := measured(stanford))
    lam, step, steps = groups.published_l1("base", "knee")
    same, ruined = (published.site.l1_in_file_units(k * y, mask, 100 * lam, step, 50) / k for k in (1, unit))
    none = published.reconstruction.l1(y, mask, 0.0, step, 50)
    assert float((ruined - none).norm() / none.norm()) < 1e-4  # nothing is left of the penalty
    assert float((same - none).norm() / none.norm()) > 0.01


def test_the_published_resolution_fix_shows_more_than_it_says():
    """Facts section 4.1: 2.53 times fewer lines instead of 4, from 2.37 to 2.76 in 2000 draws."""
    found = [published.site.shown(published.reconstruction.mask(640, seed, reach=320)) for seed in range(200)]
    assert 2.3 < min(found) and max(found) < 2.8
    assert sum(found) / len(found) == pytest.approx(2.53, abs=0.03)


def test_doubled_lines_are_the_field_of_view_repeated(stanford):
    double = published.site.doubled(stanford.kspace)
    assert double.shape[-2:] == tuple(2 * n for n in stanford.kspace.shape[-2:])
    assert torch.equal(double[..., ::2, 1::2], stanford.kspace)


def test_the_spline_turns_the_scan_and_is_no_turn(stanford):
    """What it gives is close to the image turned, and off where a quarter turn of the image is exact."""
    image = rss(ifft2c(published.site.turned(stanford.kspace)))
    exact = rss(ifft2c(fft2c(ifft2c(stanford.kspace).rot90(1, (-2, -1)))))
    match = float((image * exact).sum() / image.norm() / exact.norm())
    assert 0.9 < match < 0.9999
    others = [float((image * exact.rot90(k)).sum() / image.norm() / exact.norm()) for k in (1, 2, 3)]
    assert match > max(others)


@pytest.mark.parametrize("domain", ["knee", "brain"])
def test_every_family_has_variants_of_one_domain(domain):
    for family in groups.FAMILIES:
        found = list(groups.variants(family, domain))
        assert len(found) >= (2 if family == "convdecoder" else 3)
        assert len({each.variant for each in found}) == len(found)
        if family in groups.NETWORKS:
            assert all(domain in each.method for each in found)
    lams = [methods.tuned("tv", domain)["lam"] * times for times in groups.WEIGHTS.values()]
    assert lams == [each.load().keywords["lam"] for each in groups.variants("tv", domain)]
    assert not list(groups.as_published("tv", domain))


def test_l1_as_published_has_the_steps_of_the_facts():
    """Table 2.3: .028 on knees, .081 on brains, .122 on the second site; lambda grows as steps shrink."""
    for source, step in {"knee": 0.028, "brain": 0.081, "stanford": 0.122}.items():
        lam, found, steps = groups.published_l1("base", source)
        assert found == pytest.approx(step, rel=0.02) and lam * found == pytest.approx(0.035 * 0.028) and steps == 1000
    assert groups.published_l1("brain", "brain")[1:] == pytest.approx((0.081, 200), rel=0.02)
    side = next(side for side in shifts.sides("site", "published") if side.slices == shifts.SECOND)
    keywords = shifts.members(side, "wavelet")[0].load().keywords
    assert (keywords["lam"], keywords["step"], keywords["steps"]) == groups.published_l1("base", shifts.SECOND)


def test_l1_as_published_is_that_of_the_anatomy_on_which_it_is_made():
    for domain, variants in {"knee": ["base", "attack"], "brain": ["brain", "attack"]}.items():
        side = next(side for side in shifts.sides("anatomy", "published") if side.domain == domain)
        assert [each.variant for each in shifts.members(side, "wavelet")] == variants


def test_the_notebook_on_anatomy_matches_the_image_and_the_others_the_reference():
    """Facts 6: they do it in opposite directions."""
    found = {}
    for shift in ("anatomy", "site"):
        side = next(side for side in shifts.sides(shift, "published") if side.side == "in")
        (item,) = shifts.slices(side.slices, SMOKE, 1)
        found[shift] = shifts.row(item, side, "varnet", "base")
    assert found["anatomy"]["ssim"] == found["anatomy"]["ssim_matched"]
    assert found["site"]["ssim"] != found["site"]["ssim_matched"]


def test_what_a_shift_is_made_of_is_asked_of_families_measured_on_all_of_its_slices():
    items = shifts.slices("knee", SMOKE, 2)
    side = replace(next(shifts.sides("hard", "corrected")), side=like.NOISE, level=2.0)
    asked = [key for key, _ in shifts.pieces([side], ["tv", "convdecoder"], {side.slices: items})]
    assert {key[shifts.KEYS.index("family")] for key in asked} == {"tv"} and len(asked) == 2


def test_an_image_against_itself_is_not_judged():
    nothing, something = (stats.interval([v, 2 * v, 3 * v, v, v, v], range(6)) for v in (0.0, 0.1))
    found = findings.shifts.above_zero({"one": nothing, "two": something}, "lost")["lost"]
    assert found["one"] == "0, the same images" and found["two"].endswith("supported")


def test_masks_change_with_the_anatomy_as_published_and_not_as_corrected():
    kinds = {
        protocol: {side.slices: side.mask for side in shifts.sides("anatomy", protocol) if side.side != "mask"}
        for protocol in shifts.PROTOCOLS
    }
    assert kinds["corrected"] == {"knee": "random", "brain": "random"}
    assert kinds["published"] == {"knee": PUBLISHED, "brain": CUT}
    for shift in ("site", "hard"):  # facts 1.3: those notebooks leave no line out
        assert {side.mask for side in shifts.sides(shift, "published")} == {COINS}


@pytest.mark.parametrize(("whole", "cut"), [(COINS, PUBLISHED), ("equispaced", CUT)])
def test_the_notebooks_leave_out_lines_beyond_the_image_and_draw_none_in_their_place(whole, cut):
    (item,) = shifts.slices("knee", SMOKE, 1)
    before, after = (measured(item, kind) for kind in (whole, cut))
    outside = (torch.arange(72) - 36).abs() > item.target.shape[1] // 2
    assert torch.equal(after, before & ~outside) and (before & outside).any()


def test_the_varnet_is_shown_more_of_the_second_site_than_the_others():
    (stanford,) = shifts.slices("stanford", SMOKE, 1)
    (side,) = (each for each in shifts.sides("site", "published") if each.side == "out")
    others, varnet = (shifts.row(stanford, side, family, "base")["acceleration"] for family in ("unet", "varnet"))
    assert others == pytest.approx(4, abs=0.1) and 2.2 < varnet < 3
    with pytest.raises(BadInput, match="no shift 'time'"):
        list(shifts.sides("time", "corrected"))


def test_hard_slices_are_the_lowest_tenth_one_a_volume():
    ranking = pd.DataFrame(
        {"place": range(60), "volume": [f"{n // 5}" for n in range(60)], "slice": [1, 3, 5, 7, 9] * 12}
    )
    ranking["ssim"] = [0.9 - 0.01 * (n % 17) for n in range(60)]
    found = hard.places(ranking, True, 20)
    assert ranking.loc[found, "ssim"].max() <= ranking["ssim"].nsmallest(6).max()
    assert ranking.loc[found, "volume"].is_unique
    assert hard.places(ranking, True, 2) == found[:2] and not ranking.loc[found, "ssim"].is_monotonic_increasing
    others = hard.places(ranking, False, 4)
    assert others == [2, 7, 12, 17]
    assert hard.places(ranking[ranking["slice"] < 8], False, 2) == [1, 6]  # of an even number the first of the middle
    with pytest.raises(BadInput, match="no slice with a reference"):
        hard.places(ranking.head(0), True, 20)


def test_a_published_list_takes_the_place_of_the_lowest_tenth(tmp_path):
    words = ["--source", "knee", "--volumes", "2", "--slices", "9", "--profile", "smoke"]
    assert main(["data", str(tmp_path / "scans"), *words]) == 0
    (tmp_path / "list.csv").write_text("knee-test-0000.h5,1\nknee-test-0001.h5,8\nnot-there.h5,3\n")
    (tmp_path / "others.csv").write_text("not-there.h5,3\n")
    found = hard.table(SMOKE, 1, str(tmp_path / "scans"), listed=tmp_path / "list.csv")
    assert len(found) == 5 + 2, "the usual slices of one volume, and the two of the list"
    listed = found[found["listed"]]
    assert sorted(zip(listed["volume"], listed["slice"])) == [("knee-test-0000", 1), ("knee-test-0001", 8)]
    names = [(item.volume, item.number) for item in shifts.slices("hard", SMOKE, 9, found, str(tmp_path / "scans"))]
    assert sorted(names) == sorted(zip(listed["volume"], listed["slice"]))
    with pytest.raises(BadInput, match="none of the slices"):
        hard.table(SMOKE, 1, str(tmp_path / "scans"), listed=tmp_path / "others.csv")
    with pytest.raises(BadInput, match="no list of files"):
        hard.table(SMOKE, 1, str(tmp_path / "scans"), listed=tmp_path / "nothing.csv")


def test_a_volume_without_a_reference_is_not_ranked_and_keeps_its_place(tmp_path):
    words = ["--source", "knee", "--volumes", "2", "--slices", "5", "--profile", "smoke"]
    assert main(["data", str(tmp_path), *words]) == 0
    with h5py.File(tmp_path / "multicoil_test" / "knee-test-0000.h5", "r+") as file:
        del file["reconstruction_rss"]
        file["kspace"][..., 1::2] = 0
    found = hard.table(SMOKE, 2, str(tmp_path))
    assert set(found["volume"]) == {"knee-test-0001"} and found["place"].tolist() == list(range(5, 10))
    (item,) = shifts.slices("hard", SMOKE, 9, found, str(tmp_path))
    assert item.number == int(found.loc[found["ssim"].idxmin(), "slice"]) and item.volume == "knee-test-0001"


def test_noise_is_high_frequencies_that_are_no_anatomy():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(8, 128, 72, dtype=torch.complex64, generator=generator)
    assert hard.high_frequencies(noise) == pytest.approx(1 - 5 / 72, abs=0.01)
    smooth = torch.zeros_like(noise)
    smooth[..., 60:68, 35:38] = 100 * noise[..., 60:68, 35:38]
    noisy = smooth + noise
    assert hard.high_frequencies(smooth) == 0
    assert hard.high_frequencies(noisy, clean=True) < 0.1 * hard.high_frequencies(noisy)


def test_the_command_goes_on_where_it_was_and_takes_readers_methods_and_folders(tmp_path, monkeypatch, capsys):
    (tmp_path / "shifted.py").write_text(
        "from helpers.methods.zero_filled import reconstruct\n\ndef plain(kspace, mask):\n"
        "    return reconstruct(kspace, mask)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, source in (("here", "knee"), ("there", "brain")):
        assert main(["data", name, "--source", source, "--volumes", "2", "--profile", "smoke"]) == 0
    command = ["shifts", "--from", "here", "--to", "there", "--table", "t.csv", "--families"]
    assert main([*command, "wavelet"]) == 0
    first = tables.read(Path("t.csv"))
    whole = first[first["side"].isin(["in", "out"])]
    assert len(whole) == 2 * 2 * 3 and set(first["shift"]) == {"yours"} and set(first["domain"]) == {"knee"}
    # the drawn brains are noisier than the drawn knees
    assert set(first["side"]) == {"in", "out", like.NOISE, like.REFERENCE} and (first["level"] > 1).sum() == 2 * 2
    assert main([*command, "wavelet", "shifted:plain"]) == 0
    both = tables.read(Path("t.csv"))
    assert len(both) == 16 + 8 and len(both.merge(first)) == len(first)
    assert main([*command, "shifted:plain", "--sides", "out"]) == 0
    assert len(tables.read(Path("t.csv"))) == len(both)
    grown = both.assign(level=1.2 * both["level"])  # as where a folder has other slices since
    grown.to_csv("t.csv", index=False)
    assert main([*command, "wavelet", "shifted:plain"]) == 0
    assert tables.read(Path("t.csv")).drop(columns="seconds", errors="ignore").equals(both)
    assert main([*command, "wavelet", "--sides", "out", "nowhere"]) == 2
    assert "no side 'nowhere'; choose from in, out, noise" in capsys.readouterr().err
    for words, sentence in (
        (["here"], "two sides"),
        (["here", "--to", "there", "--protocol", "published"], "measured corrected alone"),
        (["any", "--to", "hard"], "any"),
    ):
        assert main(["shifts", "--from", *words, "--table", "u.csv"]) == 2
        assert sentence in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_all_shifts_are_measured_in_small(tmp_path):
    table, ranking = tmp_path / "s.csv", tmp_path / "h.csv"
    command = [
        "shifts",
        "--profile",
        "smoke",
        "--volumes",
        "2",
        "--ranked",
        "12",
        "--variants",
        "1",
        "--table",
        str(table),
    ]
    command += ["--ranking", str(ranking), "--families", "unet", "varnet", "wavelet", "tv", "--jobs", "2"]
    assert main(command) == 0
    found = pd.read_csv(table, keep_default_na=False)
    assert len(pd.read_csv(ranking)) == 60
    expected = 2 * (2 + 6 + 2) * 4 + 2 * (2 + 4 + 2) * 3  # slices, sides, families; TV is not published
    assert found["side"].isin(["in", "out", "mask"]).sum() == expected
    assert (found["ssim"] > 0.2).all(), found.loc[found["ssim"].idxmin()]
    before = table.read_bytes()
    assert main(command) == 0 and table.read_bytes() == before
