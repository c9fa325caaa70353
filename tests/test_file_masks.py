"""Files in fastMRI's layout with and without masks, references and zeros: what was measured, and what to score by."""

import json

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_scan import expected, inverse, noise_image, transform

from helpers.__main__ import main
from helpers.data import FastMRI
from helpers.errors import BadInput
from helpers.shifts.lines import measured

ROWS, COLUMNS = 40, 32
FULL = transform(noise_image(ROWS, COLUMNS, 2), (1, 2)).transpose(3, 0, 1, 2).astype(np.complex64)
RSS = np.stack([expected(FULL.transpose(1, 2, 3, 0), number, flat=True) for number in range(2)])
KEPT = RSS[:, 4:36]  # without a header the images are the largest square
LINES = (np.arange(COLUMNS) % 4 == 0) | (abs(np.arange(COLUMNS) - 16) < 3)
POINTS = np.random.default_rng(0).random((ROWS, COLUMNS)) < 0.4


def write(path, kspace, **others):
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        for name, value in others.items():
            if value is not None:
                file[name] = value
    return path


def close(found, wanted) -> bool:
    return found.shape == wanted.shape and abs(found.numpy() - wanted).max() < 1e-6 * wanted.max()


@pytest.mark.parametrize("mask", [LINES, POINTS, POINTS[:, :1].repeat(COLUMNS, 1)], ids=["lines", "points", "rows"])
def test_zeros_beside_a_reference_are_a_mask(tmp_path, capsys, mask):
    """The file is reconstructed under what was measured, not undersampled once more, and scored by its reference."""
    path = write(tmp_path / "scan.h5", FULL * mask, reconstruction_rss=KEPT.astype(np.float32))
    item = FastMRI(path)[1]
    assert np.array_equal(item.mask.numpy(), mask)
    assert close(item.target, KEPT[1])
    assert main(["reconstruct", str(path), "--method", "zero-filled", "--json"]) == 0
    for line in capsys.readouterr().out.splitlines():
        row = json.loads(line)
        assert row["acceleration"] == pytest.approx(mask.size / mask.sum())
        assert row["ssim"] is not None


def test_padding_beside_a_reference_is_none(tmp_path):
    """As fastMRI's brains have it: zero columns on both sides, and an echo that is not in the middle."""
    kspace = FULL.copy()
    kspace[..., :5], kspace[..., -3:], kspace[:, :, :6] = 0, 0, 0
    item = FastMRI(write(tmp_path / "scan.h5", kspace, reconstruction_rss=KEPT.astype(np.float32)))[0]
    assert item.mask is None
    assert close(item.target, KEPT[0])


@pytest.mark.parametrize("mask", [LINES, POINTS], ids=["lines", "points"])
@pytest.mark.parametrize("name", ["mask", "sampling_mask_2d"])
def test_a_mask_beside_full_kspace_is_the_measurement(tmp_path, capsys, name, mask):
    """The target is that of the full k-space; what the mask does not measure is not handed on."""
    path = write(tmp_path / "scan.h5", FULL, **{name: mask.astype(np.uint8)})
    item = FastMRI(path)[1]
    assert np.array_equal(item.mask.numpy(), mask)
    assert np.array_equal(item.kspace.numpy(), FULL[1] * mask)
    assert close(item.target, KEPT[1])
    assert main(["reconstruct", str(path), "--method", "zero-filled", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[0])["nmse"] > 0 and "no reference" not in err


def test_what_draws_masks_refuses_a_scan_that_has_its_own(tmp_path, capsys):
    """Its zeros would count as measured: one sentence, and no number."""
    (tmp_path / "scans").mkdir()
    path = write(tmp_path / "scans" / "scan.h5", FULL, mask=LINES.astype(np.uint8))
    with pytest.raises(BadInput, match="scan:1 has a sampling mask of its own"):
        measured(FastMRI(path)[1])
    for words in (["factors", "--methods", "sense"], ["features", "--only", "curves", "--methods", "sense"]):
        where = ["--data", str(path.parent), "--volumes", "1", *(["--acquisition", ""] if "factors" in words else [])]
        assert main([*words, *where]) == 2
        out, err = capsys.readouterr()
        assert out == "" and "has a sampling mask of its own" in err.splitlines()[-1]


def test_a_mask_that_is_true_throughout_is_none(tmp_path):
    item = FastMRI(write(tmp_path / "scan.h5", FULL, mask=np.ones(COLUMNS, bool)))[0]
    assert item.mask is None and close(item.target, KEPT[0])
    item = FastMRI(write(tmp_path / "scan.h5", FULL * LINES, mask=np.ones(COLUMNS, bool)))[0]
    assert np.array_equal(item.mask.numpy(), LINES) and item.target is None


def test_rounding_beyond_the_mask_is_no_data(tmp_path):
    """A k-space that was transformed there and back is not quite zero beyond its mask: still no reference."""
    there = inverse(FULL * LINES, (2, 3)).astype(np.complex64)
    again = transform(there, (2, 3)).astype(np.complex64)
    assert (again[..., ~LINES] != 0).any()
    item = FastMRI(write(tmp_path / "scan.h5", again, mask=LINES))[0]
    assert item.target is None and not item.kspace[..., ~LINES].any()


@pytest.mark.parametrize("mask", [LINES, POINTS], ids=["lines", "points"])
def test_rounding_in_the_gaps_is_no_data(tmp_path, mask):
    """Nor where the file stores no mask: its own aliased image is no reference."""
    there = inverse(FULL * mask, (2, 3)).astype(np.complex64)
    item = FastMRI(write(tmp_path / "scan.h5", transform(there, (2, 3)).astype(np.complex64)))[0]
    assert item.target is None and np.array_equal(item.mask.numpy(), mask)


@pytest.mark.parametrize("faint", [np.s_[..., 6], np.s_[:, :, :9]], ids=["a line", "rows"])
def test_faint_signal_is_no_gap(tmp_path, faint):
    """It reaches up to the limit, as rounding does not; the target is that of all of it."""
    kspace = FULL.copy()
    kspace[faint] *= 3e-6
    item = FastMRI(write(tmp_path / "scan.h5", kspace))[0]
    assert item.mask is None and close(item.target, expected_of(kspace)[0])


@pytest.mark.parametrize("coils, steps", [(1, 1), (1, 3), (2, 0.7)])
def test_zeros_by_rounding_are_no_mask(tmp_path, capsys, coils, steps):
    """Whole numbers, of which the noise is but a few steps: the scan is full, and its target that of all of it."""
    kspace = FULL[:, :coils] * steps / FULL.real.std()
    kspace = (np.round(kspace.real) + 1j * np.round(kspace.imag)).astype(np.complex64)
    assert 0.01 < (kspace == 0).all(1).mean() < 0.25
    item = FastMRI(write(tmp_path / "scan.h5", kspace))[0]
    assert item.mask is None and close(item.target, expected_of(kspace)[0])
    assert "read as fully sampled, and they as rounded" in capsys.readouterr().err


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "zeros"])
def test_a_mask_that_leaves_out_next_to_nothing_is_told(tmp_path, capsys, stored):
    """One lost line is the file's own mask, and its score no score of an undersampled scan."""
    for lost, told in ((np.arange(COLUMNS) == 20, True), (~LINES, False)):
        path = write(tmp_path / f"scan{told}.h5", FULL * ~lost, mask=~lost if stored else None)
        assert np.array_equal(FastMRI(path)[0].mask.numpy(), ~lost)
        assert ("leaves out but a few lines" in capsys.readouterr().err) == told


def test_masks_that_contradict_their_file_are_refused(tmp_path):
    """Data beyond the mask, but not everywhere; or nothing within it."""
    shifted = np.roll(LINES, 1)
    with pytest.raises(BadInput, match=r"scan\.h5.*neither full nor zero"):
        FastMRI(write(tmp_path / "scan.h5", FULL * LINES, mask=shifted))[0]
    padded = FULL.copy()
    padded[..., :5] = 0
    with pytest.raises(BadInput, match=r"scan\.h5.*leaves nothing"):
        FastMRI(write(tmp_path / "scan.h5", padded, mask=np.arange(COLUMNS) < 5))[0]


@settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_file_is_full_or_says_what_was_measured(tmp_path, data):
    """Over masks, zeros and references: the target is the reference or that of the full k-space, or there is none."""
    chance = np.random.default_rng(data.draw(st.integers(0, 99), "seed"))
    shape = data.draw(st.sampled_from([(COLUMNS,), (ROWS, COLUMNS)]), "shape")
    mask = chance.random(shape) < data.draw(st.sampled_from([0.2, 0.5, 0.9]), "share")
    mask[..., 12:18] = True
    zeros = data.draw(st.booleans(), "zeros")
    stored = data.draw(st.sampled_from([None, bool, np.uint8, np.float32]), "stored")
    reference = KEPT.astype(np.float32) if data.draw(st.booleans(), "reference") else None
    path = tmp_path / "scan.h5"
    write(path, FULL * mask if zeros else FULL, reconstruction_rss=reference,
          mask=None if stored is None else mask.astype(stored))  # fmt: skip
    item = FastMRI(path)[1]
    inner = np.flatnonzero(~mask[(mask.any(1),) if mask.ndim > 1 else ...]).size > 0
    if reference is None and zeros and item.mask is not None:
        assert item.target is None
    else:
        wanted = KEPT if reference is not None or not zeros else expected_of(FULL * mask)
        assert close(item.target, wanted[1])
    if stored is not None and not mask.all():
        assert np.array_equal(item.mask.numpy(), mask)
    elif not zeros or not inner:
        assert item.mask is None
    elif item.mask is not None:
        assert np.array_equal(np.broadcast_to(item.mask.numpy(), (ROWS, COLUMNS)) * FULL[1], FULL[1] * mask)


def expected_of(kspace):
    return np.stack([expected(kspace.transpose(1, 2, 3, 0), number, flat=True) for number in range(2)])[:, 4:36]
