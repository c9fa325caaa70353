"""ISMRMRD scans of all kinds: the target is the RSS of the image's own readouts, or a sentence refuses."""

import hashlib

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_scan import COILS, X, Y, Z, expected, flag, header, junk, lines, noise_image, transform, write

from helpers.data import MRIData, open_data
from helpers.errors import BadInput, say_once

KSPACE = transform(noise_image(X, Y, Z), (1, 2, 3))
FLAT = transform(noise_image(X, Y, 3), (1, 2))
SURFACE, CALIBRATION = flag("IS_SURFACECOILCORRECTIONSCAN_DATA"), flag("IS_PARALLEL_CALIBRATION")


def close(found, wanted) -> bool:
    """To 1e-6 of the largest value."""
    return found.shape == wanted.shape and abs(found.numpy() - wanted).max() < 1e-6 * wanted.max()


def read(tmp_path, text, readouts) -> MRIData:
    write(tmp_path / "scan.h5", text, readouts)
    return MRIData(tmp_path / "scan.h5")


def right(data, kspace=KSPACE, number=3, **options) -> bool:
    return close(data[number].target, expected(kspace, number, **options))


@pytest.mark.parametrize("views", [True, False], ids=["fields of view", "matrices alone"])
def test_interpolated_images_are_read_at_the_encoded_size(tmp_path, views):
    """As Stanford's 3D FSE knees, encoded 320 x 320 and imaged 512 x 512."""
    mm = {"encoded_mm": (160, 150, 90), "recon_mm": (160, 150, 90)} if views else {}
    data = read(tmp_path, header((X, Y, Z), (32, 40, 30), **mm), lines(KSPACE))
    assert (len(data), data.image_shape(0)) == (X, (Y, Z))
    assert right(data)
    data = read(tmp_path, header((X, Y, 1), (32, 40, 1), slices=3, **mm), lines(FLAT, flat=True))
    assert (len(data), data.image_shape(0)) == (3, (X, Y))
    assert right(data, FLAT, 2, flat=True)


def test_images_follow_the_field_of_view(tmp_path):
    """Oversampled along all axes and interpolated on top: what is kept is as wide as the images, not as fine."""
    kspace = transform(noise_image(40, 32, 20), (1, 2, 3))
    text = header((40, 32, 20), (40, 48, 32), encoded_mm=(320, 192, 40), recon_mm=(160, 144.02, 32))
    data = read(tmp_path, text, lines(kspace))
    assert (len(data), data.image_shape(0)) == (20, (24, 16))
    assert right(data, kspace, 7, kept=(20, 24, 16))


@pytest.mark.parametrize(
    "view, imaged", [(None, X), (((320, 240, 90), (160, 240, 90)), X), (((160, 240, 90),) * 2, X), (None, None)]
)
def test_readouts_without_oversampling_are_not_cropped_again(tmp_path, capsys, view, imaged):
    """The header still speaks of twice as many samples, of twice the field of view or not; the data decide."""
    mm = {"encoded_mm": view[0], "recon_mm": view[1]} if view else {}
    for size in (X, 2 * X) if imaged else (2 * X,):
        kspace = transform(noise_image(size, Y, Z), (1, 2, 3))
        data = read(tmp_path, header((2 * X, Y, Z), (imaged or 2 * X, Y, Z), **mm), lines(kspace))
        assert ("oversampling is taken as removed" in capsys.readouterr().err) == (size == X)
        kept = size if not imaged or view and view[0] == view[1] else X
        assert len(data) == kept
        assert right(data, kspace, kept=(kept, Y, Z))
        flat = transform(noise_image(size, Y, 2), (1, 2))
        data = read(tmp_path, header((2 * X, Y, 1), (imaged or 2 * X, Y, 1), slices=2, **mm), lines(flat, flat=True))
        assert data[1].kspace.shape == (COILS, size, Y)
        assert right(data, flat, 1, kept=(kept, Y), flat=True)


NOT_IMAGES = [
    {"flags": flag(f"IS_{name}")}
    for name in (
        "NOISE_MEASUREMENT", "NAVIGATION_DATA", "PHASECORR_DATA", "HPFEEDBACK_DATA", "RTFEEDBACK_DATA",
        "DUMMYSCAN_DATA", "PHASE_STABILIZATION", "PHASE_STABILIZATION_REFERENCE", "PARALLEL_CALIBRATION",
        "SURFACECOILCORRECTIONSCAN_DATA",
    )
] + [
    {"encoding_space_ref": 1}, {"contrast": 2}, {"phase": 1}, {"repetition": 3}, {"set": 1},
]  # fmt: skip


@pytest.mark.parametrize("fields", NOT_IMAGES, ids=lambda fields: " ".join(f"{k} {v}" for k, v in fields.items()))
def test_what_is_no_image_overwrites_none(tmp_path, fields):
    """Whether it comes before the image or after it, and also where the image is undersampled."""
    extra = junk(lines(KSPACE), **fields)
    for readouts in (extra + lines(KSPACE), lines(KSPACE) + extra):
        assert right(read(tmp_path, header((X, Y, Z)), readouts))
    measured = [each for each in lines(KSPACE) if each[1]["kspace_encode_step_1"] % 3 != 1]
    item = read(tmp_path, header((X, Y, Z)), [*measured, *extra])[2]
    assert item.target is None
    assert float(item.kspace.abs().max()) < 1e3
    assert item.mask.numpy().sum() == len(measured) and not item.mask[1::3].any()


def test_a_second_slab_and_later_counters(tmp_path, capsys):
    """Of several slabs the first; counters may start anywhere."""
    later = [
        (data, head | {"set": 2, "repetition": 1, "segment": n % 3}) for n, (data, head) in enumerate(lines(KSPACE))
    ]
    assert right(read(tmp_path, header((X, Y, Z)), junk(lines(KSPACE), set=3, repetition=1) + later))
    assert right(read(tmp_path, header((X, Y, Z)), junk(lines(KSPACE), slice=1) + lines(KSPACE)))
    assert "several slabs; the first is read" in capsys.readouterr().err


@pytest.mark.parametrize("flat", [False, True], ids=["3D", "2D"])
def test_averages_are_averaged(tmp_path, capsys, flat):
    """Each line by as many as it has, wherever they lie in the file; calibration lines are none of them."""
    kspace, text = (FLAT, header((X, Y, 1), slices=3)) if flat else (KSPACE, header((X, Y, Z)))
    chance = np.random.default_rng(0)
    once, again = lines(kspace, flat), lines(kspace, flat, seed=1)[::2]
    noises = [chance.normal(size=data.shape).astype(np.float32) for data, _ in again]
    places = {tuple(head.values()): noise for (_, head), noise in zip(again, noises, strict=True)}
    added = [(data + places.get(tuple(head.values()), 0), head) for data, head in once]
    taken = [(data - noise, head | {"average": 2}) for (data, head), noise in zip(again, noises, strict=True)]
    junked = junk(once, average=1, flags=CALIBRATION)
    data = read(tmp_path, text, junked + added + taken)
    assert data[2].mask is None and right(data, kspace, 2, flat=flat)
    assert "2 averages; their mean is read" in capsys.readouterr().err
    apart = [(data, head | {"average": head["kspace_encode_step_1"] % 2}) for data, head in once]
    assert right(read(tmp_path, text, apart), kspace, 2, flat=flat)  # each holds other lines


@pytest.mark.parametrize("name", ["contrast", "phase", "repetition", "set"])
def test_what_is_left_out_by_a_counter_is_told(tmp_path, capsys, name):
    item = read(tmp_path, header((X, Y, Z)), [(d, h | {name: h["kspace_encode_step_1"] % 2}) for d, h in lines(KSPACE)])
    assert item[0].target is None
    assert f"more than one {name}; the first is read" in capsys.readouterr().err


def test_of_a_line_measured_twice_the_first_is_taken(tmp_path, capsys):
    assert right(read(tmp_path, header((X, Y, Z)), lines(KSPACE) + junk(lines(KSPACE))))
    assert "measured more than once; the first" in capsys.readouterr().err


def test_a_flag_on_wanted_lines_is_seen_through(tmp_path, capsys):
    """Siemens' converter marks lines that should be corrected as those of a correction scan: all, or some of them."""
    chance = np.random.default_rng(1)
    for share in (1.0, 0.5, 0.05):
        readouts = [(data, head | {"flags": SURFACE * (chance.random() < share)}) for data, head in lines(KSPACE)]
        data = read(tmp_path, header((X, Y, Z)), readouts)
        assert right(data) and data[0].mask is None
        flat = [(data, head | {"flags": SURFACE * (chance.random() < share)}) for data, head in lines(FLAT, flat=True)]
        assert right(read(tmp_path, header((X, Y, 1), slices=3), flat), FLAT, 2, flat=True)
    assert capsys.readouterr().err.count("a surface coil correction fill in where its image has no others") == 1
    noise = junk(lines(KSPACE), flags=SURFACE | flag("IS_NOISE_MEASUREMENT"))
    assert right(read(tmp_path, header((X, Y, Z)), noise + readouts))


def test_flagged_lines_of_an_undersampled_scan(tmp_path, capsys):
    """All of them flagged: they are its image. A few in the center again, flagged: a correction scan, left out."""
    sparse = [each for each in lines(KSPACE) if each[1]["kspace_encode_step_1"] % 2 == 0]
    item = read(tmp_path, header((X, Y, Z)), [(data, head | {"flags": SURFACE}) for data, head in sparse])[3]
    assert item.target is None and item.mask.numpy().sum() == len(sparse)
    middle = [each for each in lines(KSPACE) if abs(each[1]["kspace_encode_step_1"] - Y // 2) < 3]
    item = read(tmp_path, header((X, Y, Z)), [*junk(middle, 1, flags=SURFACE), *sparse])[3]
    assert item.mask.numpy().sum() == len(sparse) and float(item.kspace.abs().max()) < 1e3
    assert "a surface coil correction are left out" in capsys.readouterr().err


def test_calibration_lines_that_are_the_image_s_own(tmp_path):
    """The only copy of the center, or embedded as the header says, or flagged as imaging too: taken. Others are not."""
    middle = [each for each in lines(KSPACE) if abs(each[1]["kspace_encode_step_1"] - Y // 2) < 4]
    rest = [each for each in lines(KSPACE) if abs(each[1]["kspace_encode_step_1"] - Y // 2) >= 4]
    flagged = [(data, head | {"flags": CALIBRATION}) for data, head in middle]
    assert right(read(tmp_path, header((X, Y, Z)), rest + flagged))
    both = [(d, h | {"flags": CALIBRATION | flag("IS_PARALLEL_CALIBRATION_AND_IMAGING")}) for d, h in middle]
    assert right(read(tmp_path, header((X, Y, Z)), rest + both))
    sparse = [each for each in lines(KSPACE) if each[1]["kspace_encode_step_1"] % 2 == 0]
    for mode, count in (("embedded", 16), ("separate", 12)):
        text = header(
            (X, Y, Z), encoding=f"<parallelImaging><calibrationMode>{mode}</calibrationMode></parallelImaging>"
        )
        item = read(tmp_path, text, flagged + sparse)[3]
        assert int(item.mask.any(1).sum()) == count


def test_partial_readouts_and_lines(tmp_path):
    """An asymmetric echo and a partial Fourier center are zeros in the k-space, which counts as full; reversed, too."""
    kspace = KSPACE.copy()
    kspace[:, :5], kspace[:, :, :7] = 0, 0
    readouts = []
    for number, (data, head) in enumerate(lines(kspace)):
        head = head | {"kspace_encode_step_1": head["kspace_encode_step_1"] - 7, "center_sample": X // 2 - 5}
        data = data[:, 5:]
        if number % 2:
            data = data[:, ::-1]
            head |= {"flags": flag("IS_REVERSE"), "center_sample": data.shape[1] - 1 - head["center_sample"]}
        if head["kspace_encode_step_1"] >= 0:
            readouts.append((data, head))
    data = read(tmp_path, header((X, Y, Z), center=Y // 2 - 7), readouts)
    assert data[3].mask is None
    assert right(data, kspace)


def test_slices_of_a_2d_scan_have_masks_of_their_own(tmp_path):
    """A slice that misses lines takes no target from the others."""
    readouts = [each for each in lines(FLAT, flat=True) if each[1]["slice"] or each[1]["kspace_encode_step_1"] % 2 == 0]
    data = read(tmp_path, header((X, Y, 1), slices=3), readouts)
    assert data[0].target is None and data[0].mask.tolist() == [True, False] * (Y // 2)
    assert right(data, FLAT, 2, flat=True)


def test_lines_behind_the_last_are_left_out(tmp_path, capsys):
    """GE's converter appends lines for a phase correction; without a limit in the header they are refused."""
    behind = junk(lines(KSPACE), kspace_encode_step_1=Y)
    assert right(read(tmp_path, header((X, Y, Z)), lines(KSPACE) + behind))
    assert "behind the last line" in capsys.readouterr().err
    text = header((X, Y, Z)).replace(f"<maximum>{Y - 1}</maximum>", "")
    with pytest.raises(BadInput, match="outside the matrix"):
        read(tmp_path, text, lines(KSPACE) + behind)


def test_headers_that_say_less(tmp_path):
    """The count of coils and the trajectory may be missing, sizes may be written as fractions."""
    text = header((X, Y, Z), coils=None).replace("<trajectory>cartesian</trajectory>", "")
    assert right(read(tmp_path, text, lines(KSPACE)))
    assert right(read(tmp_path, text.replace(f"<z>{Z}</z>", f"<z>{Z - 4e-4}</z>"), lines(KSPACE)))
    unset = [(data, head | {"center_sample": 0}) for data, head in lines(KSPACE)]
    assert right(read(tmp_path, text, unset))


def test_slices_whose_header_speaks_of_a_volume(tmp_path, capsys):
    """The depth of its matrix is the number of slices: 2D where each has one plane of k-space, whatever its number."""
    for own in (False, True):
        readouts = [(data, head | {"kspace_encode_step_2": own * head["slice"]}) for data, head in lines(FLAT, True)]
        data = read(tmp_path, header((X, Y, 3)), readouts)
        assert (len(data), data.image_shape(0)) == (3, (X, Y))
        assert all(right(data, FLAT, number, flat=True) for number in range(3))
    assert "readouts slices of their own" in capsys.readouterr().err
    with pytest.raises(BadInput, match="18 planes of k-space, of which it holds one"):
        read(tmp_path, header((X, Y, Z)), [each for each in lines(KSPACE) if each[1]["kspace_encode_step_2"] == 9])


@pytest.mark.parametrize("beside", [-1, 1])
def test_the_echo_of_a_whole_readout_is_in_its_middle(tmp_path, beside):
    for fields in ({}, {"flags": flag("IS_REVERSE")}):
        readouts = [(data[:, :: -1 if fields else 1], head | fields) for data, head in lines(KSPACE)]
        middle = X // 2 - bool(fields) + beside
        data = read(tmp_path, header((X, Y, Z)), [(each, head | {"center_sample": middle}) for each, head in readouts])
        assert right(data)


def test_what_a_header_leaves_open_is_counted(tmp_path, capsys):
    """A center of 0 beside lines that fill the matrix, and slices without a limit."""
    assert right(read(tmp_path, header((X, Y, Z), center=0), lines(KSPACE)))
    assert f"no center of its {Y} lines" in capsys.readouterr().err
    data = read(
        tmp_path, header((X, Y, 1), center=0).replace("<slice><maximum>0</maximum></slice>", ""), lines(FLAT, 1)
    )
    assert len(data) == 3 and right(data, FLAT, 2, flat=True)


@pytest.mark.parametrize("name", ["radial", "spiral", "goldenangle", "other", "epi", "EPI"])
def test_other_trajectories_are_refused(tmp_path, name):
    with pytest.raises(BadInput, match="Cartesian|EPI") as caught:
        read(tmp_path, header((X, Y, Z), trajectory=name), lines(KSPACE))
    assert "scan.h5" in str(caught.value)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"trajectory_dimensions": 2}, "trajectory of their own"),
        ({"center_sample": X}, "which of its samples is the center"),
        ({"center_sample": X // 2 + 2}, "does not fit the header's matrix"),
        ({"discard_pre": X}, "which of its samples is the center"),
        ({"active_channels": 3}, "coils"),
        ({"flags": flag("IS_NOISE_MEASUREMENT")}, "no readout of an image"),
        ({"encoding_space_ref": 1}, "no readout of an image"),
    ],
)
def test_what_cannot_be_placed_is_refused(tmp_path, fields, words):
    with pytest.raises(BadInput, match=words):
        read(tmp_path, header((X, Y, Z)), [(data, head | fields) for data, head in lines(KSPACE)])[0]


def test_readouts_of_doubtful_length_are_refused(tmp_path):
    """Fewer samples than the images have pixels, where the header speaks of twice as many: of which field of view?"""
    short = [(data[:, 4:-4], head) for data, head in lines(KSPACE)]
    with pytest.raises(BadInput, match="fill 12 samples, which is neither"):
        read(tmp_path, header((2 * X, Y, Z), (X, Y, Z)), short)
    mixed = [(np.tile(data, 1 + number % 2), head) for number, (data, head) in enumerate(lines(KSPACE))]
    with pytest.raises(BadInput, match="which is neither"):
        read(tmp_path, header((2 * X, Y, Z), (X, Y, Z)), mixed)


PART = "<studyInformation><bodyPartExamined>{}</bodyPartExamined></studyInformation>"
PROTOCOL = "<measurementInformation><protocolName>{}</protocolName></measurementInformation>"
PLACE = "<receiverChannels>", "<institutionName>Stanford University</institutionName><receiverChannels>"


@pytest.mark.parametrize(
    "information, stanford, anatomy, source",
    [
        ("", False, "unknown", "unknown"),
        (PROTOCOL.format("CUBE"), False, "unknown", "unknown"),
        (PROTOCOL.format("PD knee cor"), False, "knee", "knee"),
        (PART.format("BRAIN") + PROTOCOL.format("T1"), False, "brain", "brain"),
        (PART.format("ABDOMEN") + PROTOCOL.format("knee?"), False, "unknown", "unknown"),
        ("", True, "unknown", "stanford"),
        (PROTOCOL.format("CUBE"), True, "knee", "stanford"),
        (PART.format("KNEE"), True, "knee", "stanford"),
        (PROTOCOL.format("head 3D"), True, "brain", "brain"),
        (PART.format("HEART"), True, "unknown", "unknown"),
    ],
)
def test_source_and_anatomy_are_those_of_the_header(tmp_path, information, stanford, anatomy, source):
    text = header((X, Y, Z), information=information)
    item = read(tmp_path, text.replace(*PLACE) if stanford else text, lines(KSPACE))[0]
    assert (item.anatomy, item.source) == (anatomy, source)


def test_a_scan_of_unknown_source_is_reconstructed(tmp_path, capsys):
    """With what was tuned on knees, and a sentence; a caller may say whose it is."""
    from helpers.__main__ import main

    say_once.cache_clear()
    write(tmp_path / "scan.h5", header((X, 64, 64)), lines(transform(noise_image(X, 64, 64), (1, 2, 3))))
    arguments = [str(tmp_path / "scan.h5"), "--method", "wavelet", "--slice", "10", "--json"]
    assert main(["reconstruct", *arguments]) == 0
    assert "what was made for knee is used" in capsys.readouterr().err
    assert MRIData(tmp_path / "scan.h5", source="stanford", anatomy="knee")[10].source == "stanford"
    assert open_data(tmp_path / "scan.h5")[10].source == "unknown"


FUZZ = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(data=st.data())
def test_any_scan_is_read_right(tmp_path, data):
    """Over sizes, fields of view, interpolation, oversampling removed or not, offsets, readouts that are no image."""
    flat = data.draw(st.booleans(), "2D")
    kept = data.draw(st.integers(16, 22), "x"), data.draw(st.integers(16, 20), "y")
    over = data.draw(st.sampled_from([1, 1.25, 2]), "oversampling")
    size, deep = round(kept[0] * over), data.draw(st.integers(1, 3), "slices") if flat else 16
    removed = data.draw(st.booleans(), "removed")
    kspace = transform(noise_image(kept[0] if removed else size, kept[1], deep), (1, 2) if flat else (1, 2, 3))
    views = {}
    finer = 1.0
    if data.draw(st.booleans(), "views"):
        finer = data.draw(st.sampled_from([1, 1.6, 2]), "interpolation")
        views = {"encoded_mm": (size, kept[1], 40), "recon_mm": (kept[0], kept[1], 40)}
    recon = (round(kept[0] * finer), round(kept[1] * finer), 1 if flat else deep)
    center = kept[1] // 2 + data.draw(st.integers(0, 3), "center")
    image = [
        (each, head | {"kspace_encode_step_1": head["kspace_encode_step_1"] - kept[1] // 2 + center})
        for each, head in lines(kspace, flat, data.draw(st.integers(0, 9), "order"))
    ]
    extra = junk(image, 2, **data.draw(st.sampled_from(NOT_IMAGES), "extra"))
    trajectory = data.draw(st.sampled_from(["cartesian"] * 4 + ["radial"]), "trajectory")
    text = header(
        (size, kept[1], 1 if flat else deep), recon, slices=deep if flat else 1, center=center, trajectory=trajectory,
        **views,
    )  # fmt: skip
    path = tmp_path / "scan.h5"
    write(path, text, extra + image if data.draw(st.booleans(), "before") else image + extra)
    if trajectory != "cartesian":
        with pytest.raises(BadInput):
            MRIData(path)
        return
    number = data.draw(st.integers(0, (deep if flat else kept[0]) - 1), "number")
    found = MRIData(path)
    assert len(found) == (deep if flat else kept[0])
    assert right(found, kspace, number, kept=kept if flat else (*kept, deep), flat=flat)


@FUZZ
@given(data=st.data())
def test_any_damage_is_one_sentence(tmp_path, data):
    """Over fields of header and readouts: nothing but slices or BadInput; the file stays as it is."""
    fields = st.sampled_from(
        ["flags", "number_of_samples", "center_sample", "discard_pre", "discard_post", "active_channels", "slice",
         "encoding_space_ref", "trajectory_dimensions", "kspace_encode_step_1", "kspace_encode_step_2", "set"]
    )  # fmt: skip
    readouts = lines(FLAT, flat=True) if data.draw(st.booleans(), "2D") else lines(KSPACE)
    text = header((X, Y, 1), slices=3) if "slice" in readouts[0][1] else header((X, Y, Z))
    for _ in range(data.draw(st.integers(0, 2), "damaged readouts")):
        where = data.draw(st.sampled_from([slice(0, 1), slice(3, 90, 2), slice(None)]), "where")
        change = {data.draw(fields, "field"): data.draw(st.sampled_from([0, 1, 3, 17, X, 40, 65535]), "value")}
        readouts[where] = [(each, head | change) for each, head in readouts[where]]
    for old in data.draw(st.lists(st.sampled_from(["<x>20", "<y>24", "<z>", "<maximum>", "<center>12"])), "header"):
        text = text.replace(
            old, data.draw(st.sampled_from(["<x>40", "<y>-1", "<z>1e9", "<z>nan", "<", "<maximum>1"])), 1
        )
    path = tmp_path / "scan.h5"
    write(path, text, readouts)
    before = hashlib.sha256(path.read_bytes()).digest()
    try:
        found = MRIData(path)
        item = found[len(found) // 2]
        assert item.target is None or item.target.isfinite().all()
    except BadInput as error:
        assert str(path) in str(error) and str(error).count(". ") == 0
    assert before == hashlib.sha256(path.read_bytes()).digest()
    assert h5py.is_hdf5(path)
