"""The box that the notebooks score of an annotated finding, and how they score it."""

from torch import Tensor

from helpers.data.slice import Box


def transposed(box: Box) -> Box:
    """The pixels that they read: the columns of the box as rows and its rows as columns; of the next slice, moreover.

    The annotations count slices from 1, and they take that number from 0 on.
    """
    return Box(box.y, box.x, box.height, box.width, box.label)


def error(image: Tensor, target: Tensor, box: Box) -> float:
    """Their mean squared error in a box, of images that each have mean 0 and deviation 1; NaN for a box outside.

    image, target: (y, x) real. A method that makes an image brighter or of more contrast pays nothing for it.
    """
    image, target = ((each - each.mean()) / each.std() for each in (image, target))
    wrong = (image - target)[box.y : box.y + box.height, box.x : box.x + box.width]
    return float(wrong.square().mean())
