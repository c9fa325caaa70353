"""Whatever a file holds and whatever is asked: a result, or exit code 2 and one sentence that names the file."""

import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from made import made_slices

from helpers.__main__ import main
from helpers.data import fastmri

FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / "scan.h5"
    fastmri.write_volume(path, made_slices(count=2))
    return path


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "scan.h5"
    fastmri.write_volume(path, made_slices(count=1))
    return path


def outcome(capsys, *arguments) -> tuple[int, str]:
    """Exit code and last words of a command; checks that a failure prints one sentence and nothing else."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    if code == 0:
        for line in out.splitlines():
            json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    else:
        lines = err.strip().splitlines()
        assert code == 2, err
        assert "Traceback" not in err
        assert lines[-1].count(". ") == 0 and len(lines[-1]) > 20
    return code, err.strip().splitlines()[-1] if err.strip() else ""


def reconstruct(capsys, path, *more) -> tuple[int, str]:
    return outcome(capsys, "reconstruct", path, "--method", "zero-filled", "--json", *more)


def change(path: Path, **datasets) -> None:
    """Replace data sets of a file; None removes one."""
    with h5py.File(path, "a") as file:
        for name, value in datasets.items():
            if name in file:
                del file[name]
            if value is not None:
                file[name] = value


def test_truncated_files(volume, tmp_path, capsys):
    """Cut anywhere."""
    whole = volume.read_bytes()
    for size in (0, 1, 100, 2000, len(whole) // 2, len(whole) - 1):
        volume.write_bytes(whole[:size])
        code, words = reconstruct(capsys, volume)
        assert code == 2 and str(volume) in words
        assert "truncated" in words or "not written to its end" in words


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", bytes(range(256)) * 40])
def test_files_of_another_kind(tmp_path, capsys, content):
    path = tmp_path / "other.h5"
    path.write_bytes(content)
    code, words = reconstruct(capsys, path)
    assert code == 2 and str(path) in words


@pytest.mark.parametrize(
    "datasets, words",
    [
        ({"kspace": None}, "no data set 'kspace'"),
        ({"kspace": np.zeros((2, 4, 64), np.complex64)}, "must be (slice, coil, ky, kx)"),
        ({"kspace": np.zeros((1, 2, 4, 64, 40), np.complex64)}, "must be (slice, coil, ky, kx)"),
        ({"kspace": np.zeros((2, 4, 64, 40), np.float32)}, "must hold complex numbers"),
        ({"kspace": np.array(b"text")}, "must hold complex numbers"),
        ({"kspace": np.zeros((0, 4, 64, 40), np.complex64)}, "is empty"),
        ({"kspace": np.zeros((2, 4, 64, 40), np.complex64)}, "all zero"),
        ({"kspace": np.full((2, 4, 64, 40), np.nan, np.complex64)}, "NaN or infinite"),
        ({"kspace": np.full((2, 4, 64, 40), np.inf, np.complex64)}, "NaN or infinite"),
        ({"kspace": np.full((2, 4, 64, 40), 1e30, np.complex64)}, "rescale the file"),
        ({"kspace": np.full((2, 4, 64, 40), 1e60, np.complex128)}, "NaN or infinite"),
        ({"kspace": np.ones((2, 4, 8, 8), np.complex64)}, "at least 16"),
        ({"reconstruction_rss": np.ones((2, 32), np.float32)}, "must be (slice, y, x)"),
        ({"reconstruction_rss": np.ones((1, 32, 32), np.float32)}, "1 slices of reconstruction_rss, but 2"),
        ({"reconstruction_rss": np.ones((2, 9, 9), np.float32)}, "at least 16"),
        ({"reconstruction_rss": np.full((2, 32, 32), np.nan, np.float32)}, "not finite"),
        ({"reconstruction_rss": np.zeros((2, 32, 32), np.float32)}, "empty"),
        ({"reconstruction_rss": None, "ismrmrd_header": "<broken"}, "reconSpace"),
        ({"reconstruction_rss": None, "ismrmrd_header": "<header/>"}, "reconSpace"),
        ({"mask": np.zeros(40, bool)}, "samples nothing"),
        ({"mask": np.ones(39, bool)}, "(40,)"),
        ({"mask": np.full(40, np.nan)}, "samples nothing"),
        ({"sampling_mask_2d": np.ones((40, 64), bool)}, "(64, 40)"),
        ({"mask": np.array([b"a"] * 40)}, "must be bool"),
    ],
)  # fmt: skip
def test_files_with_one_thing_wrong(volume, capsys, datasets, words):
    change(volume, **datasets)
    code, said = reconstruct(capsys, volume)
    assert code == 2 and str(volume) in said and words in said


@pytest.mark.parametrize(
    "command",
    [
        ["reconstruct", "--method", "zero-filled", "--json"],
        ["evaluate", "zero-filled", "--json", "--data"],
        ["attack", "--method", "zero-filled", "--steps", "1", "--json", "--eps", "0.02", "--"],
    ],
    ids=["reconstruct", "evaluate", "attack"],
)
def test_an_empty_slice_ends_no_run(volume, capsys, command):
    """The others are measured, which is said. Alone, as one asked for by number or all there are, it is refused."""
    for empty, code in ((0, 0), (1, 2)):
        with h5py.File(volume, "a") as file:
            file["kspace"][empty] = 0
        capsys.readouterr()
        assert main([*command, str(volume)]) == code
        out, err = capsys.readouterr()
        words = "the k-space is all zero" if code else "all zero, and so left out, is slice 0"
        assert words in err and "Traceback" not in err and len(out.splitlines()) == (code == 0)


def test_an_empty_slice_is_refused_by_number_and_moves_no_image(volume, capsys):
    """Images stand at the numbers of their slices, as fastMRI scores them; of a slice without one there are zeros."""
    out = volume.with_name("out.h5")
    assert reconstruct(capsys, volume, "--out", out, "--slice", "1")[0] == 0
    with h5py.File(out) as file:
        whole = file["reconstruction"][()]
        assert whole.shape == (2, 32, 32) and not whole[0].any() and whole[1].any()
    with h5py.File(volume, "a") as file:
        file["kspace"][0] = 0
    assert "slice 0: the k-space is all zero" in reconstruct(capsys, volume, "--slice", "0")[1]
    out = volume.with_name("other.h5")
    code, said = reconstruct(capsys, volume, "--out", out)
    assert code == 0 and said == f"{out}: zero, for want of an image, are 1 of its 2 slices"
    with h5py.File(out) as file:
        assert np.array_equal(file["reconstruction"], whole)


def test_folders(tmp_path, capsys):
    assert reconstruct(capsys, tmp_path)[1].startswith(f"{tmp_path} holds no volume")
    assert "python -m helpers data" in reconstruct(capsys, "knee")[1]
    assert reconstruct(capsys, tmp_path / "nowhere")[1].startswith(f"{tmp_path / 'nowhere'} does not exist")


def test_no_permission(volume, capsys, monkeypatch):
    """Root may read everything, so the refusal of the system is played."""

    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(volume))

    monkeypatch.setattr(h5py, "File", refused)
    code, words = reconstruct(capsys, volume)
    assert code == 2 and words == f"{volume} may not be read; ask its owner for permission"
    monkeypatch.setattr(os, "replace", refused)
    code, words = outcome(
        capsys, "data", volume.parent / "out", "--profile", "smoke", "--volumes", "1", "--slices", "1"
    )
    assert code == 2 and "Permission denied" in words


@pytest.mark.parametrize(
    "more, words",
    [
        (["--method", "nonsense"], "'nonsense'"),
        (["--slice", "2"], "counted from 0 to 1"),
        (["--slice", "-1"], "must be a whole number"),
        (["--slice", "middle"], "must be a whole number"),
        (["--acceleration", "-4"], "acceleration"),
        (["--acceleration", "0"], "acceleration"),
        (["--acceleration", "nan"], "acceleration"),
        (["--acceleration", "inf"], "acceleration"),
        (["--center-fraction", "2"], "center"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "99999999999999999999999"], "--seed"),
        (["--mask", "given"], "carries no mask"),
        (["--mask", "spiral"], "invalid choice"),
        (["--device", "toaster"], "--device cpu"),
        (["--tuned-on", "mars", "--method", "wavelet"], "mars"),
        (["--seed", "0", "1", "--out", "out.h5"], "--out"),
        (["--unknown"], "--unknown"),
    ],
)
def test_wrong_arguments(volume, capsys, more, words):
    code, said = reconstruct(capsys, volume, *more)
    assert code == 2 and words in said


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["reconstruct"], ["data"], ["--json"], ["methods", "extra"]])
def test_wrong_commands(capsys, arguments):
    assert outcome(capsys, *arguments)[0] == 2


def test_a_mask_over_an_undersampled_file(volume, capsys):
    change(volume, mask=np.arange(40) % 3 == 0)
    assert reconstruct(capsys, volume)[0] == 0  # scored against the reference that it carries
    assert "leave --mask out" in reconstruct(capsys, volume, "--mask", "random")[1]


def test_damaged_annotations_beside_a_volume(volume, capsys):
    table = volume.with_name("knee.csv")
    table.write_text("file,slice,study_level,x,y,width,height,label\nscan,0,No,1\n")
    assert f"{table}, row 2" in reconstruct(capsys, volume)[1]
    table.write_bytes(b"\xff\xfe\x00\x01")
    assert reconstruct(capsys, volume)[0] == 0


@settings(FUZZ, max_examples=60)
@given(data=st.data())
def test_fuzz_of_the_k_space(data, template, tmp_path, capsys):
    """Any shape and type of the arrays."""
    path = tmp_path / "fuzz.h5"
    shutil.copy(template, path)
    kinds = st.sampled_from([np.complex64, np.complex128, np.float32, np.int16, np.bool_, "S3", np.float16])
    for name in data.draw(st.sets(st.sampled_from(["kspace", "reconstruction_rss", "mask", "snr", "ismrmrd_header"]))):
        shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=20))
        change(path, **{name: data.draw(arrays.arrays(data.draw(kinds), shape))})
    code, words = reconstruct(capsys, path)
    assert code == 0 or str(path) in words


@settings(FUZZ, max_examples=25)
@given(
    values=st.lists(st.sampled_from([0, 1, -1, 1e-30, 1e14, 1e20, 3e38, np.inf, np.nan]), min_size=1, max_size=5),
    unit=st.sampled_from([1e-20, 1e-12, 1e-3, 1.0, 1e9]),
    coils=st.integers(1, 3),
    ky=st.integers(16, 40),
    kx=st.integers(16, 40),
)
def test_fuzz_of_values_and_sizes(values, unit, coils, ky, kx, tmp_path, capsys):
    """Odd sizes, any number of coils, any unit, a few wild entries."""
    path = tmp_path / "fuzz.h5"
    rng = np.random.default_rng(0)
    kspace = unit * (rng.standard_normal((1, coils, ky, kx)) + 1j * rng.standard_normal((1, coils, ky, kx)))
    kspace.flat[: len(values)] = values
    with np.errstate(over="ignore"), h5py.File(path, "w") as file:
        file["kspace"] = kspace.astype(np.complex64)
    code, words = reconstruct(capsys, path, "--acceleration", "2")
    assert code == 0 or str(path) in words


@settings(FUZZ, max_examples=150)
@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=8), head=st.booleans())
def test_fuzz_of_bytes(flips, head, template, tmp_path, capsys):
    """Bytes changed anywhere, or among the first four thousand, where HDF5 keeps its structure."""
    path = tmp_path / "fuzz.h5"
    content = bytearray(template.read_bytes())
    size = min(4096, len(content)) if head else len(content)
    for place, value in flips:
        content[min(int(place * size), size - 1)] ^= value
    path.write_bytes(content)
    code, words = reconstruct(capsys, path)
    assert code == 0 or str(path) in words


@settings(FUZZ, max_examples=60)
@given(
    arguments=st.lists(
        st.sampled_from(
            ["--acceleration", "--center-fraction", "--seed", "--slice", "--mask", "--tuned-on", "--device", "--method"]
            + [
                "0",
                "1",
                "-1",
                "1e9",
                "nan",
                "4",
                "0.5",
                "random",
                "equispaced",
                "poisson",
                "given",
                "knee",
                "",
                "cpu",
                "é",
            ]
        ),
        max_size=6,
    )
)
def test_fuzz_of_arguments(arguments, template, capsys):
    assert reconstruct(capsys, template, *arguments)[0] in (0, 2)


@pytest.mark.parametrize(
    "value", ["nan", "inf", "1e400", "-1", "", " ", "1e3x", "٣٣x", "99999999999999999999999", "0x10"]
)
@pytest.mark.parametrize(
    "options",
    [
        ["evaluate", "zero-filled", "--seed"],
        ["evaluate", "zero-filled", "--volumes"],
        ["evaluate", "zero-filled", "--slices"],
        ["transfer", "--seed"],
        ["transfer", "--steps"],
        ["audit", "--jobs"],
        ["fit", "dip", "--seed"],
        ["fit", "dip", "--slice"],
        ["fit", "dip", "--look"],
        ["tune", "tv", "--seed"],
        ["noise", "--seed"],
        ["data", "nowhere", "--seed"],
        ["data", "nowhere", "--slices"],
        ["train", "unet-knee", "--steps"],
        ["attack", "scan.h5", "--method", "tv", "--eps", "0.1", "--starts"],
        ["reconstruct", "scan.h5", "--method", "tv", "--slice"],
    ],
    ids=" ".join,
)
def test_what_is_no_number_of_that_kind_is_a_sentence(volume, monkeypatch, capsys, options, value):
    monkeypatch.chdir(volume.parent)
    code, words = outcome(capsys, *options, value)
    assert code == 2 and "must be a whole number" in words and os.listdir() == ["scan.h5"]


@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "0", "-1", "", "x"])
@pytest.mark.parametrize(
    "options",
    [
        ["transfer", "--eps", "0.1"],
        ["audit", "--eps"],
        ["attack", "scan.h5", "--method", "tv", "--eps"],
        ["reconstruct", "scan.h5", "--method", "tv", "--acceleration"],
    ],
    ids=" ".join,
)
def test_what_is_no_strength_is_a_sentence(volume, monkeypatch, capsys, options, value):
    monkeypatch.chdir(volume.parent)
    code, words = outcome(capsys, *options, value)
    assert code == 2 and ("must be a number above 0" in words or "expected" in words)


@pytest.mark.parametrize("device", ["hpu", "meta", "privateuseone", "tpu", ""])
def test_what_is_no_device_here_is_a_sentence(volume, capsys, device):
    code, words = outcome(capsys, "reconstruct", volume, "--method", "zero-filled", "--device", device)
    assert code == 2 and "device" in words
