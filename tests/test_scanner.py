"""The synthetic scanner: its contract, the physics of the measurement, and what findings may change."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from helpers.data import scanner
from helpers.data.drawing.chance import Chance
from helpers.data.drawing.coils import coil_maps
from helpers.data.drawing.finding import box_around
from helpers.data.drawing.measurement import Scan, _transform
from helpers.data.drawing.tissue import signals
from helpers.errors import BadInput
from helpers.mri.fourier import center_crop, fft2c, ifft2c
from helpers.mri.rss import rss
from helpers.profiles import profile

SMOKE, LAPTOP = profile("smoke"), profile("laptop")


def same(first, second) -> bool:
    return torch.equal(first.kspace, second.kspace) and torch.equal(first.target, second.target)


@pytest.mark.parametrize("source", scanner.SOURCES)
def test_slices_follow_the_contract(source):
    for number, item in enumerate(scanner.draw_volume(source, 3, SMOKE, slices=2)):
        size = SMOKE.image if source == "stanford" else SMOKE.kspace
        assert item.kspace.shape == (SMOKE.coils, *size) and item.kspace.dtype == torch.complex64
        assert item.target.shape == SMOKE.image and item.target.dtype == torch.float32
        assert torch.isfinite(item.target).all() and 5e-5 < item.target.max() < 2e-3
        assert (item.volume, item.number, item.source) == (f"{source}-test-0003", number, source)
        assert item.anatomy == ("brain" if source == "brain" else "knee")
        expected = center_crop(rss(ifft2c(item.kspace)), SMOKE.image)
        torch.testing.assert_close(item.target, expected, rtol=3e-7, atol=0)  # torch's root may be off by a bit


@pytest.mark.parametrize("source", scanner.SOURCES)
def test_the_same_seed_gives_the_same_bytes(source):
    first = scanner.draw_volume(source, 5, SMOKE, slices=2)
    scanner.draw_volume(source, 6, SMOKE, slices=1)
    again = scanner.draw_volume(source, 5, SMOKE, slices=2)
    assert all(same(a, b) and a.boxes == b.boxes for a, b in zip(first, again, strict=True))


def test_seeds_splits_and_sources_give_different_subjects():
    items = [scanner.draw_volume("knee", seed, SMOKE, 1, split=split)[0] for seed in (0, 1) for split in scanner.SPLITS]
    snrs = {item.snr for item in items}
    assert len(snrs) == len(items)


def test_named_numbers_do_not_depend_on_each_other():
    first, second = Chance(1, 2, 3), Chance(1, 2, 3)
    assert first.uniform("a", 0, 1) != first.uniform("b", 0, 1)
    assert second.uniform("b", 5, 7) == 5 + 2 * first.uniform("b", 0, 1)
    assert second.uniform("a", 0, 1) == first.uniform("a", 0, 1)
    assert Chance(1, 2, 4).uniform("a", 0, 1) != first.uniform("a", 0, 1)


@pytest.mark.parametrize("contrast", ["T1", "T2"])
def test_signals_follow_the_spin_echo_equation(contrast):
    values = [signals(Chance(seed), contrast) for seed in range(200)]
    # white matter has density .71, T1 800 and T2 80; 5 % covers six standard errors and the curvature in the times
    repetition, echo = {"T1": (550, 11), "T2": (4900, 100)}[contrast]
    closed_form = 0.71 * (1 - np.exp(-repetition / 800)) * np.exp(-echo / 80)
    assert np.mean([v["white matter"] for v in values]) == pytest.approx(closed_form, rel=0.05)
    order = {"T1": ("white matter", "gray matter"), "T2": ("fluid", "gray matter", "white matter")}[contrast]
    for brighter, darker in zip(order[:-1], order[1:], strict=True):
        assert np.mean([v[brighter] > v[darker] for v in values]) > 0.9


def test_sampling_is_the_centered_transform():
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 40, 36, dtype=torch.complex128, generator=generator)
    padded = torch.nn.functional.pad(image, (0, 0, 12, 12))
    expected = center_crop(fft2c(padded), (32, 18))
    result = _transform(_transform(image, 18, 36, dim=-1), 32, 64, dim=-2)
    assert torch.allclose(result, expected, atol=1e-12)


def test_coil_maps_point_at_their_coils():
    maps = np.abs(coil_maps(Chance(0), 8, (96, 96), 2.0, "axial", 0.0, radius=100))
    start, place = Chance(0).uniform("first coil", 0, 2 * np.pi), np.arange(96) - 48
    for coil in range(8):
        angle = np.arctan2((maps[coil] ** 4 * place[:, None]).sum(), (maps[coil] ** 4 * place[None]).sum())
        error = (angle - start - 2 * np.pi * coil / 8 + np.pi) % (2 * np.pi) - np.pi
        assert abs(error) < 0.5  # coils are jittered by .08 rad, neighbors .79 apart
    assert np.sqrt((maps**2).sum(0)).mean() == pytest.approx(1, rel=0.15)  # times a transmit field of about 10 %


@pytest.mark.parametrize("source", scanner.SOURCES)
def test_the_stored_snr_is_that_of_the_background(source):
    quiet = scanner.draw_volume(source, 1, LAPTOP, 1, snr=1e6, plane="axial")[0]
    noisy = scanner.draw_volume(source, 1, LAPTOP, 1, snr=40, plane="axial")[0]
    noise = center_crop(rss(ifft2c(noisy.kspace - quiet.kspace)), LAPTOP.image)
    # first-order deviation of the RSS background: good to a few per cent from 8 coils on
    assert float(torch.quantile(quiet.target, 0.9) / noise.std()) == pytest.approx(40, rel=0.06)
    assert noisy.snr == 40


def test_test_sets_carry_clinical_snrs_and_training_more():
    for source, contrasts in scanner.CONTRASTS.items():
        subjects = [scanner.Subject(source, seed, SMOKE) for seed in range(40)]
        assert {s.contrast for s in subjects} == set(contrasts)
        assert all(scanner.SNR[s.contrast][0] <= s.snr <= scanner.SNR[s.contrast][1] for s in subjects)
        assert all(s.scan.coils == SMOKE.coils and not s.scan.turned and not s.scan.moved for s in subjects)
    training = [scanner.Subject("brain", seed, LAPTOP, "train") for seed in range(150)]
    snrs = [s.snr for s in training]
    assert min(snrs) < 20 and max(snrs) > 200 and min(snrs) >= 15 and max(snrs) <= 250
    assert len({s.scan.coils for s in training}) > 5
    for rare, share in (("turned", 0.3), ("moved", 0.06)):
        assert 0.3 * share < np.mean([getattr(s.scan, rare) for s in training]) < 2 * share


def test_training_subjects_that_are_turned_moved_or_wrapped_can_be_drawn():
    wanted = {"turned": False, "moved": False, "wrapped": False}
    for seed in range(200):
        subject = scanner.Subject("knee", seed, SMOKE, "train")
        kinds = {"turned": subject.scan.turned, "moved": subject.scan.moved}
        kinds["wrapped"] = subject.scan.shape[1] > 2 * SMOKE.kspace[1]
        if any(kind and not wanted[name] for name, kind in kinds.items()):
            item = subject.slice(0, 1)
            assert item.target.shape == SMOKE.image and torch.isfinite(item.target).all()
            wanted = {name: wanted[name] or kind for name, kind in kinds.items()}
    assert all(wanted.values())


def test_what_is_outside_the_field_of_view_wraps_around():
    scan = scan_of("train", lambda scan: scan.shape[1] > 2 * SMOKE.kspace[1] and not scan.turned and not scan.moved)
    maps, decay = torch.ones((1, *scan.shape), dtype=torch.complex64), torch.ones((1, 1))
    drawing = np.zeros(scan.shape, np.float32)
    middle, field_of_view = scan.shape[1] // 2, 2 * SMOKE.kspace[1]
    shifted = drawing.copy()
    drawing[scan.shape[0] // 2, middle + field_of_view // 2 + 4] = 1
    shifted[scan.shape[0] // 2, middle - field_of_view // 2 + 4] = 1
    assert torch.allclose(scan._sample(drawing, maps, decay), scan._sample(shifted, maps, decay), atol=1e-6)


def scan_of(split: str, wanted) -> Scan:
    scans = (scanner.Subject("knee", seed, SMOKE, split).scan for seed in range(400))
    return next(scan for scan in scans if wanted(scan))


def test_neighboring_slices_are_of_one_subject():
    def likeness(a, b):
        return float(torch.corrcoef(torch.stack([a.target.flatten(), b.target.flatten()]))[0, 1])

    for source in scanner.SOURCES:
        volumes = [scanner.draw_volume(source, seed, SMOKE, slices=3, snr=200) for seed in range(4)]
        near = [likeness(volume[0], volume[1]) for volume in volumes]
        far = [likeness(volume[0], volume[2]) for volume in volumes]
        other = [likeness(volumes[k][0], volumes[k - 1][0]) for k in range(4)]
        assert min(near) > 0.8 and np.mean(near) > np.mean(far) > np.mean(other)
        assert not torch.equal(volumes[0][0].target, volumes[0][1].target)


def pairs(source: str, count: int):
    """Slices with and without their findings."""
    for seed in range(count):
        having = scanner.draw_volume(source, seed, SMOKE, slices=2)
        healthy = scanner.draw_volume(source, seed, SMOKE, slices=2, pathology=False)
        yield from zip(having, healthy, strict=True)


@pytest.mark.parametrize("source", ["knee", "brain"])
def test_findings_change_their_boxes_and_nothing_else(source):
    found, shares = [], []
    for having, healthy in pairs(source, 14):
        assert healthy.boxes == () and having.snr == healthy.snr
        if not having.boxes:
            assert same(having, healthy)
            continue
        change = (having.target - healthy.target).abs().square()
        inside = torch.zeros_like(change, dtype=torch.bool)
        for box in having.boxes:
            assert 0 <= box.x < box.x + box.width <= change.shape[1]
            assert 0 <= box.y < box.y + box.height <= change.shape[0]
            area = change[box.y : box.y + box.height, box.x : box.x + box.width]
            assert area.max() > 20 * change.median()
            # one pixel more: the change is blurred to the resolution of the scan
            inside[max(box.y - 1, 0) : box.y + box.height + 1, max(box.x - 1, 0) : box.x + box.width + 1] = True
            found.append(box.label)
        assert inside.float().mean() < 0.35
        shares.append(float(change[inside].sum() / change.sum()))
    assert np.median(shares) > 0.9 and min(shares) > 0.7
    assert len(set(found)) >= (3 if source == "knee" else 2)


def test_boxes_are_tight():
    seen = np.zeros((80, 60), bool)
    seen[40:44, 30:36] = True  # from the center on: rows 0-3, columns 0-5 of the canvas
    box = box_around("x", seen, 2, (40, 30))
    assert (box.x, box.y, box.width, box.height) == (15, 20, 3, 2)
    seen[:] = False
    seen[0, 0] = True
    assert box_around("x", seen, 2, (20, 20)) is None


@pytest.mark.parametrize(
    ("source", "overrides", "acquisition"),
    [
        ("knee", {"contrast": "PD", "plane": "coronal"}, "CORPD_FBK"),
        ("knee", {"contrast": "PDFS", "plane": "sagittal"}, "SAGPDFS_FBK"),
        ("knee", {"contrast": "PDFS", "plane": "axial"}, "AXPDFS_FBK"),
        ("brain", {"contrast": "FLAIR"}, "AXFLAIR"),
        ("stanford", {"plane": "coronal"}, "CUBE"),
    ],
)
def test_overrides_fix_what_the_subject_would_choose(source, overrides, acquisition):
    item = scanner.draw_volume(source, 0, SMOKE, 1, snr=33.0, coils=5, **overrides)[0]
    assert (item.acquisition, item.snr, item.kspace.shape[0]) == (acquisition, 33.0, 5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: scanner.draw_volume("heart", 0, SMOKE),
        lambda: scanner.draw_volume("knee", -1, SMOKE),
        lambda: scanner.draw_volume("knee", 0, SMOKE, slices=0),
        lambda: scanner.draw_volume("knee", 0, SMOKE, split="final"),
        lambda: scanner.draw_volume("knee", 0, SMOKE, contrast="T2"),
        lambda: scanner.draw_volume("brain", 0, SMOKE, plane="sagittal"),
        lambda: scanner.draw_volume("knee", 0, SMOKE, snr=0),
        lambda: scanner.draw_volume("knee", 0, SMOKE, snr=float("nan")),
        lambda: scanner.draw_volume("knee", 0, SMOKE, coils=0),
        lambda: scanner.draw_volume("knee", 0, SMOKE, age=40),
        lambda: scanner.draw_volume("knee", 0, SMOKE, slices=scanner.MOST + 1),
        lambda: scanner.Synthetic("knee", slices=scanner.MOST // 2 + 1, profile=SMOKE),
        lambda: scanner.Synthetic("knee", volumes=0, profile=SMOKE),
        lambda: scanner.Synthetic("heart", profile=SMOKE),
    ],
)
def test_bad_values_are_one_sentence(call):
    with pytest.raises(BadInput, match="^[^\n]+$"):
        call()


def test_synthetic_sets_are_sequences_of_slices():
    items = scanner.Synthetic("knee", "validation", volumes=2, slices=2, profile=SMOKE)
    assert len(items) == len(list(items)) == 4
    assert len({item.id for item in items}) == 4 and len({item.volume for item in items}) == 2
    volume = scanner.draw_volume("knee", 1, SMOKE, slices=4, split="validation")
    assert same(items[2], volume[1]) and same(items[-1], volume[3])
    with pytest.raises(IndexError):
        items[4]


@pytest.mark.parametrize(("source", "seed", "split"), [("brain", 7, "test"), ("knee", 254, "train")])
def test_the_last_slices_of_the_largest_volumes_can_be_drawn(source, seed, split):
    """Of a head so high that no finding shows, and of a knee that ends soon."""
    subject = scanner.Subject(source, seed, SMOKE, split)
    for number in (0, scanner.MOST - 1):
        assert subject.slice(number, scanner.MOST).target.max() > 5e-5


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_a_byte():
    program = (
        "import sys, hashlib; from helpers.data import scanner; from helpers.profiles import profile\n"
        "for source in scanner.SOURCES:\n"
        "    for name in ('smoke', 'laptop'):\n"
        "        item = scanner.draw_volume(source, 7, profile(name), 1)[0]\n"
        "        print(hashlib.sha256(item.kspace.numpy().tobytes() + item.target.numpy().tobytes()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(printed) == 1 and len(printed.pop().split()) == 6
