"""BART's l1-wavelet reconstruction, called as a program: Debian has it as the package `bart`."""

from helpers.bench.bart import Bart


def reconstruct(kspace, mask, weight=0.002, iterations=60):
    with Bart() as bart:
        bart.write("kspace", kspace)
        bart.call("ecalib", "-m1", "kspace", "maps")
        bart.call("pics", "-S", "-e", "-i", iterations, "-R", f"W:3:0:{weight}", "kspace", "maps", "image")
        return bart.read("image")[0].abs()
