"""BART's l1-wavelet reconstruction, called as a program: Debian has it as the package `bart`."""

from helpers.bench.bart import Bart
from helpers.mri.masks import center_lines
from helpers.mri.noise import expected_rss


def reconstruct(kspace, mask, weight=0.01, iterations=100):
    with Bart() as bart:
        bart.write("kspace", kspace)
        bart.call("ecalib", "-m1", "-c0", "-r", min(24, center_lines(mask)), "kspace", "maps")
        bart.call("pics", "-S", "-e", "-i", iterations, "-R", f"W:3:0:{weight}", "kspace", "maps", "image")
        return expected_rss(bart.read("image")[0], kspace, mask)
