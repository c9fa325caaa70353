"""The bench: what a row says, that its counts are right, and that BART reads what was written."""

import dataclasses
import json
from functools import partial
from operator import le

import pytest
import torch

from helpers import networks as our_networks
from helpers.__main__ import main
from helpers.bench import attacks, bart, border, networks, solvers
from helpers.bench.contest import problem
from helpers.training import recipes

FIELDS = {"work", "size", "peer", "ours_s", "peer_s", "ratio", "runs"}
needs_bart = pytest.mark.skipif(not bart.installed(), reason="BART is not installed")


def test_the_smallest_count_is_found():
    for goal in (1, 8, 9, 50, 333):
        found, there = solvers._first(partial(le, goal))
        assert there and goal <= found <= goal + max(1, goal // 16)
    assert solvers._first(lambda n: False) == (solvers.LIMIT, False)


def test_a_problem_is_the_same_from_the_same_seed():
    first, second = problem(3, 48), problem(3, 48)
    assert first.kspace.equal(second.kspace) and first.mask.equal(second.mask)
    assert first.kspace.shape == (3, 48, 48) and first.wavelet.levels == 2


@needs_bart
def test_bart_reads_what_was_written():
    array = torch.randn(3, 10, 14, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    with bart.Bart() as files:
        files.write("array", array)
        assert files.call("flip", 0, "array", "same") >= 0
        assert files.read("same").equal(array)
        files.call("fft", "-u", 3, "array", "spectrum")  # bits 0 and 1: the axes x and y
        expected = torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(array, dim=(-2, -1)), norm="ortho"), (-2, -1))
        torch.testing.assert_close(files.read("spectrum"), expected, rtol=1e-5, atol=1e-5)
        folder = files.folder
    assert not folder.exists()


@pytest.mark.slow
def test_rows(monkeypatch, capsys):
    """Every work against every peer that is there, at a size that takes seconds; sigpy's TV may not arrive."""
    monkeypatch.setattr(solvers, "SIZES", ((4, 96),))
    monkeypatch.setattr(solvers, "LIMIT", 256)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # or the command starts itself anew
    assert main(["bench", "--quick", "--json", "--runs", "1"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    peers = ["sigpy", "BART"] if bart.installed() else ["sigpy"]
    assert [(row["work"], row["peer"]) for row in rows] == [
        (work, peer) for work in ("espirit", "l1-wavelet", "tv") for peer in peers
    ]
    for row in rows:
        assert FIELDS <= set(row) and row["size"] == "4x96x96" and row["runs"] == 1
        assert row["ratio"] == pytest.approx(row["peer_s"] / row["ours_s"])
    for row in rows[len(peers) :]:
        assert row["minimum_gap"] <= solvers.REFERENCE and row["iterations"] < row["certified_iterations"]


def test_a_peer_that_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setattr(bart, "installed", lambda: False)
    solvers.say_what_is_missing()
    assert "BART is not installed" in capsys.readouterr().err


def test_both_sides_of_the_attack_take_the_same_step():
    given = problem(2, 48)
    noise = given.mask * torch.ones_like(given.kspace)
    found = []
    for form in ("fast", "fastmri"):
        torch.manual_seed(0)
        architecture = {"network": "varnet", "cascades": 2, "channels": 2, "pools": 2, "form": form}
        network = our_networks.build(architecture).double().requires_grad_(False)
        kspace, radius = given.kspace.to(torch.complex128), torch.tensor(0.5, dtype=torch.float64)
        start = (radius * noise / noise.norm()).to(torch.complex128)
        clean = network(kspace, given.mask)
        e = networks.pgd_step(network, kspace, given.mask, clean, start.clone(), radius)
        assert e.norm() <= radius * (1 + 1e-12) and not (e * ~given.mask).any()
        assert (network(kspace + e, given.mask) - clean).norm() > (network(kspace + start, given.mask) - clean).norm()
        found.append(e)
    torch.testing.assert_close(*found)


def test_rows_of_networks(monkeypatch):
    small = dataclasses.replace(recipes.shipped()[networks.TRAINED], profile="smoke")
    monkeypatch.setattr(recipes, "shipped", lambda: {networks.TRAINED: small})
    monkeypatch.setattr(networks, "STEPS", 1)
    monkeypatch.setattr(networks, "ATTACKED", {"network": "varnet", "cascades": 2, "channels": 2, "pools": 2})
    rows = list(networks.measure(2, 48, runs=1))
    assert [(row["work"], row["size"]) for row in rows] == [("pgd varnet", "2x48x48"), ("train varnet", "4x128x72")]
    assert all(FIELDS <= set(row) and row["ratio"] == row["peer_s"] / row["ours_s"] for row in rows)
    # what a process is before it has trained anything takes some hundred MB
    assert rows[1]["slices_per_second"] == 1 / rows[1]["ours_s"] and 100 < rows[1]["peak_mb"] < 20000


def test_rows_of_gradients():
    """Both sides differentiate the same function; the implicit one keeps a fraction of the memory.

    At a size at which unrolling is stable: the steps of l1's solver divide by what is left of the residual, so that
    near the minimum their derivative may be anything. That the implicit one is right is the law of `test_implicit`.
    """
    rows = list(attacks.measure(3, 56, runs=1))
    peers = ["unrolled", *(f"last {last}" for last in attacks.LAST)]
    works = ["gradient wavelet", "gradient tv"]
    assert [(row["work"], row["peer"]) for row in rows] == [(work, peer) for work in works for peer in peers]
    for row in rows:
        assert FIELDS <= set(row) and row["kept_mb"] < row["peer_kept_mb"]
    for row in (rows[0], attacks.row("tv", None, 3, 64, runs=1)):
        assert row["cosine"] > 0.99 and row["kept_mb"] < row["peer_kept_mb"] / 5


def test_the_hours_of_the_matrix():
    rows = list(attacks.matrix("smoke", ("unet",)))
    assert [row["peer"] for row in rows] == ["corrected", "published"]
    pieces = 10 * 5 / 2  # slices, strengths, cores
    assert all(row["hours"] == pytest.approx(row["ours_s"] * pieces / 3600) and row["ours_s"] > 0 for row in rows)


def test_the_border_of_a_reader_s_function_is_thin():
    (row,) = border.measure(runs=3)
    assert FIELDS <= set(row) and row["size"] == "8x320x180" and row["share"] == row["ours_s"] / row["peer_s"]
    assert row["share"] < 0.01
