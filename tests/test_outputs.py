"""No output is an input, another output, or a file of somebody else: one sentence, and all files stay as they are."""

import errno
import json
import os
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import __version__
from helpers.__main__ import main
from helpers.data import fastmri, open_data
from helpers.data.scanner import draw_volume
from helpers.profiles import profile

RECONSTRUCT = ["reconstruct", "scan.h5", "--method", "zero-filled"]
TABLES = {
    "evaluate": ["evaluate", "zero-filled", "--data", "scan.h5"],
    "transfer": ["transfer", "--data", "scan.h5", "--methods", "zero-filled", "--volumes", "1"],
    "audit": ["audit", "--data", "scan.h5", "--methods", "zero-filled", "--volumes", "1"],
    "tune": ["tune", "wavelet", "--source", "scan.h5", "--volumes", "1"],
    "fit": ["fit", "convdecoder", "--data", "scan.h5", "--steps", "10"],
    "noise": ["noise", "--profile", "smoke"],
}


@pytest.fixture
def scan(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fastmri.write_volume(tmp_path / "scan.h5", draw_volume("knee", 0, profile("smoke"), 1))
    return tmp_path


def refused(folder, capsys, *arguments) -> str:
    """The sentence of a command that is refused, with every file as it was."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main([str(each) for each in arguments]) == 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    return err.splitlines()[-1]


@pytest.mark.parametrize("option", ["--out", "--png"])
def test_a_scan_is_not_written_over(scan, capsys, option):
    os.link("scan.h5", "hard.h5")
    (scan / "soft.h5").symlink_to("scan.h5")
    (scan / "folder").mkdir()
    for path in ("scan.h5", "./scan.h5", scan / "scan.h5", "folder/../scan.h5", "hard.h5", "soft.h5"):
        assert "is an input" in refused(scan, capsys, *RECONSTRUCT, option, path)


def test_two_outputs_are_two_files(scan, capsys):
    sentence = refused(scan, capsys, *RECONSTRUCT, "--out", "a.h5", "--png", "./a.h5")
    assert "--out and --png are both a.h5" in sentence


@pytest.mark.parametrize("option", ["--out", "--png"])
def test_a_file_of_somebody_else_is_not_written_over_and_ours_is(scan, capsys, option):
    (scan / "theirs").write_text("words")
    assert "not of this command" in refused(scan, capsys, *RECONSTRUCT, option, "theirs")
    for _ in range(2):
        assert main([*RECONSTRUCT, option, "ours"]) == 0
    assert main([*RECONSTRUCT, "--seed", "1", option, "ours"]) == 0


def test_what_is_no_file_or_lies_where_none_can_be_is_refused(scan, capsys):
    (scan / "folder").mkdir()
    (scan / "nowhere").symlink_to("missing")
    for path, words in {
        "folder": "no plain file",
        "/dev/null": "no plain file",
        "nowhere": "no plain file",
        "scan.h5/a.h5": "no folder that may be written to",
    }.items():
        assert words in refused(scan, capsys, *RECONSTRUCT, "--out", path)
    assert main([*RECONSTRUCT, "--out", "new/folder/a.h5"]) == 0


def test_boxes_of_somebody_else_are_not_mixed_with_drawn_ones(scan, capsys):
    header = "file,slice,study_level,x,y,width,height,label\n"
    (scan / "study").mkdir()
    for theirs in (header + "file1000001,2,No,1,2,3,4,cyst\n", header + "knee-test-0000x,2,No,1,2,3,4,cyst\n", "\xff"):
        (scan / "study" / "knee.csv").write_text(theirs, "latin1")
        assert "not of this command" in refused(scan, capsys, "data", "study", "--profile", "smoke", "--volumes", "1")
    (scan / "study" / "knee.csv").unlink()
    for volumes in ("1", "2"):
        assert main(["data", "study", "--profile", "smoke", "--volumes", volumes]) == 0


@pytest.mark.parametrize("command", TABLES)
def test_a_table_loses_nothing(scan, capsys, command):
    (scan / "exp.json").write_text('{"theirs": true}')
    assert "exp.json is there and not of" in refused(scan, capsys, *TABLES[command], "--table", "exp.csv")
    assert "--table and the .json beside" in refused(scan, capsys, *TABLES[command], "--table", "new.json")
    assert "no plain file" in refused(scan, capsys, *TABLES[command], "--table", ".")
    for name, words in {"notes.csv": "some,words\n1,2\n", "notes.txt": "words\nof mine, more"}.items():
        (scan / name).write_text(words)
        refused(scan, capsys, *TABLES[command], "--table", name)
    refused(scan, capsys, *TABLES[command], "--table", "scan.h5")


@pytest.mark.parametrize(
    "words",
    [
        ["--table", "z.csv", "--ranking", "z.json"],
        ["--table", "z.csv", "--ranking", "./z.csv"],
        ["--table", "z.csv", "--ranking", "z.tsv"],
        ["--ranking", "z.json"],
    ],
)
def test_a_ranking_and_a_table_are_four_files(scan, capsys, words):
    assert "one would be lost" in refused(scan, capsys, "shifts", "--profile", "smoke", *words)


def test_a_card_of_a_network_is_no_origin_of_a_table(root, scan, capsys):
    card = (root / "zoo" / "unet-knee.json").read_bytes()
    (scan / "unet-knee.json").write_bytes(card)
    assert "not of this command" in refused(scan, capsys, *TABLES["evaluate"], "--table", "unet-knee.csv")


@pytest.mark.parametrize("more", [[], ["--fresh"]])
def test_training_writes_over_no_file_of_somebody_else(scan, capsys, more):
    train = ["train", "exp", "--architecture", '{"network": "unet"}', "--profile", "smoke", "--steps", "1"]
    (scan / "exp.json").write_text('{"theirs": true}')
    assert "no card" in refused(scan, capsys, *train, "--out", ".", "--checkpoints", "kept", *more)
    (scan / "exp.json").rename("exp.safetensors")
    assert "without a card" in refused(scan, capsys, *train, "--out", ".", "--checkpoints", "kept", *more)


CELLS = st.sampled_from(
    ["zero-filled", "001", "scan", "1", "0", "-1", "0.5", "nan", "", "x,y", '"', "e5", "1e999", "é"]
)
COLUMNS = ["method", "volume", "slice", "identity", "seed", "ssim", "psnr", "source", "snr", "psnr_zero_filled"]
TEXTS = st.lists(st.lists(CELLS, min_size=1, max_size=10), max_size=3).flatmap(
    lambda rows: st.permutations(COLUMNS).map(lambda names: "\n".join(map(",".join, [names, *rows])) + "\n")
)
MADE = {"command": "", "n": 1, "versions": {}}
OURS = {"depends": {"profile": "laptop", "code": __version__}}
ORIGINS = st.one_of(
    st.sampled_from([None, b"", b"[]", b'{"theirs": 1}', b"\xff\xfe"]),
    st.sampled_from([{}, OURS, OURS | {"methods": []}, OURS | {"methods": {"zero-filled": {}}}]).map(
        lambda more: json.dumps(MADE | more).encode()
    ),
)


@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.one_of(st.none(), st.binary(max_size=40), TEXTS.map(str.encode)), origin=ORIGINS)
def test_whatever_lies_where_a_table_goes_the_result_is_right_or_nothing_changes(scan, capsys, table, origin):
    for name, content in (("kept.csv", table), ("kept.json", origin)):
        (scan / name).unlink(missing_ok=True)
        if content is not None:
            (scan / name).write_bytes(content)
    before = {path: path.read_bytes() for path in scan.iterdir()}
    code = main([*TABLES["evaluate"], "--table", "kept.csv"])
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if code == 0:
        rows = pd.read_csv("kept.csv")
        assert (rows["identity"] == open_data("scan.h5")[0].identity).sum() == 1
    else:
        assert code == 2 and {path: path.read_bytes() for path in scan.iterdir()} == before


@pytest.mark.parametrize("command", ["evaluate", "transfer", "audit", "tune", "fit", "attack", "train"])
def test_data_without_references_are_a_sentence_in_every_command_that_needs_one(scan, capsys, command):
    with h5py.File("scan.h5", "r+") as file:
        file["kspace"][...] *= np.arange(file["kspace"].shape[-1]) % 4 == 0
        del file["reconstruction_rss"]
    others = {
        "attack": ["attack", "scan.h5", "--method", "zero-filled", "--eps", "0.02"],
        "train": ["train", "mine", "--architecture", '{"network": "unet"}', "--data", "scan.h5", "--out", "."],
    }
    sentence = refused(scan, capsys, *(TABLES | others)[command])
    assert any(words in sentence for words in ("reference", "target", "undersampled")), sentence


def test_what_others_files_do_to_their_reader_is_no_trace(scan, capsys):
    (scan / "deep.json").write_text("[" * 100_000)
    assert "deep.json is there and not of" in refused(scan, capsys, *TABLES["evaluate"], "--table", "deep.csv")
    bomb = zlib.crc32(header := b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    (scan / "bomb").write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", bomb))
    assert "bomb is there and not of" in refused(scan, capsys, *RECONSTRUCT, "--png", "bomb")


def test_a_table_of_another_ending_does_not_take_the_origin_of_this_one(scan, capsys):
    assert main([*TABLES["evaluate"], "--table", "kept.csv"]) == 0
    capsys.readouterr()
    for name in ("kept.txt", "kept"):
        assert "kept.json is there and not of" in refused(scan, capsys, *TABLES["evaluate"], "--table", name)


def test_drawing_removes_no_part_of_somebody_else(scan):
    theirs = [scan / "out" / "archive.zip.4194299.part", scan / "out" / "multicoil_test" / "knee.h5.4194299.part"]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert main(["data", "out", "--profile", "smoke", "--volumes", "1", "--slices", "1"]) == 0
    assert all(path.exists() for path in theirs)


def test_data_that_cannot_be_scored_are_said_beside_others_and_beside_a_table(scan, capsys):
    (scan / "bare").mkdir()
    fastmri.write_volume(scan / "bare" / "b.h5", draw_volume("knee", 1, profile("smoke"), 1))
    with h5py.File(scan / "bare" / "b.h5", "r+") as file:
        file["kspace"][...] *= np.arange(file["kspace"].shape[-1]) % 4 == 0
        del file["reconstruction_rss"]
    assert main([*TABLES["evaluate"], "--table", "kept.csv"]) == 0
    capsys.readouterr()
    for data in (["bare"], ["scan.h5", "bare"]):
        sentence = refused(scan, capsys, "evaluate", "zero-filled", "--data", *data, "--table", "kept.csv")
        assert "no slice of bare has a target" in sentence


def test_a_pipe_is_no_file(scan, capsys):
    os.mkfifo("pipe.h5")
    assert main(["reconstruct", "pipe.h5", "--method", "zero-filled"]) == 2
    assert "is no file" in capsys.readouterr().err
    assert main(["reconstruct", ".", "--method", "zero-filled"]) == 0


@pytest.mark.parametrize("ending", ["H5", "hdf5"])
def test_other_endings_of_hdf5_are_read_too(scan, ending):
    (scan / "scan.h5").rename(scan / f"scan.{ending}")
    assert len(open_data(scan)) == 1


def test_a_full_disk_is_told_by_its_name(scan, capsys, monkeypatch):
    """One sentence that says what to do, and no table of one row and a half."""

    def full(path, part):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", full)
    sentence = refused(scan, capsys, *TABLES["evaluate"], "--table", "made.csv")
    assert "No space left" in sentence and sentence.endswith("make room and give the same command again")
