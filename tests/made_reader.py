"""A scan, and what a reader's functions are made of: shared by the tests of the border."""

from helpers.data.scanner import draw_volume
from helpers.experiments import evaluate
from helpers.profiles import profile

(ITEM,) = draw_volume("knee", 0, profile("smoke"), slices=1)
MASK = evaluate.mask_of(ITEM)
Y = MASK * ITEM.kspace
GRID = tuple(Y.shape[-2:])
FUNCTION = "\ndef reconstruct(kspace, mask):\n    "
IMAGE = "return kspace.detach().abs().sum(0)\n"


def image(kspace, mask):
    """What all functions here give, in one way or another: no good image, but of an odd value in every pixel."""
    return kspace.abs().sum(0)
