"""How good an image is: SSIM, PSNR and NMSE with the windows and constants of fastMRI, whole and inside the object.

The data range is the maximum of the slice's target, as in the notebooks of the paper. fastMRI's own evaluation takes
that of the whole volume, which raises SSIM and PSNR of its darker slices: where a file says it, both stand in columns
of their own, `ssim_volume` and `psnr_volume`.
"""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

WINDOW = 7  # pixels on a side of the uniform SSIM window; K1 = .01 and K2 = .03 are skimage's defaults

# how a page writes each score
SCORES = {
    "ssim": "SSIM",
    "ssim_object": "SSIM inside the object",
    "ssim_matched": "SSIM after matching",
    "ssim_volume": "SSIM, range of the volume",
    "psnr_volume": "PSNR (dB), range of the volume",
    "psnr": "PSNR (dB)",
    "nmse": "NMSE",
    "nmse_object": "NMSE inside the object",
}


def ssim_map(image: np.ndarray, target: np.ndarray, data_range: float) -> np.ndarray:
    """Structural similarity around every pixel whose whole window lies in the image (Wang et al. 2004).

    image, target: (y, x) real; data_range: from the clean target alone, never from the image, or an attacker
    raises the score with one hot pixel. Returns (y - 6, x - 6); its mean is fastMRI's SSIM.
    """
    edge = (WINDOW - 1) // 2
    values = structural_similarity(target, image, win_size=WINDOW, data_range=data_range, full=True)[1]
    return values[edge:-edge, edge:-edge]


def ssim(image: np.ndarray, target: np.ndarray, data_range: float) -> float:
    """Structural similarity of an image and its target: 1 for equal images; arguments as in `ssim_map`."""
    return float(ssim_map(image, target, data_range).mean())


def psnr(image: np.ndarray, target: np.ndarray, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB: 10 log10(data_range^2 / mean squared error)."""
    with np.errstate(divide="ignore"):  # equal images: infinite, and no warning
        return float(peak_signal_noise_ratio(target, image, data_range=data_range))


def nmse(image: np.ndarray, target: np.ndarray) -> float:
    """Normalized squared error ||image - target||^2 / ||target||^2."""
    return float(np.sum((image - target) ** 2) / np.sum(target**2))


def object_mask(target: np.ndarray) -> np.ndarray:
    """The pixels that show the subject, from the clean target alone: (y, x) real to (y, x) bool.

    Otsu's threshold on the cube root of the smoothed target (dark tissue is object, too), its holes filled and
    its largest part kept. About half of the pixels of an MR image are background, where a method scores by
    painting black.
    """
    compressed = np.cbrt(ndimage.gaussian_filter(np.asarray(target, np.float64), 1))
    mask = ndimage.binary_closing(compressed > threshold_otsu(compressed), iterations=2)
    mask = ndimage.binary_fill_holes(mask)
    parts, count = ndimage.label(mask)
    if count == 0:
        return np.ones_like(mask)
    sizes = ndimage.sum_labels(mask, parts, np.arange(1, count + 1))
    return parts == 1 + int(np.argmax(sizes))


def match_moments(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The image with the target's mean and standard deviation, as some of the paper's notebooks score it.

    It hides errors of brightness and contrast; it serves the column named `ssim_matched`, and the published protocol,
    some notebooks of which match the target to the image instead.
    """
    spread = image.std()
    return (image - image.mean()) * (target.std() / spread if spread > 0 else 0) + target.mean()


def scores(image: Tensor, target: Tensor, peak: float | None = None) -> dict[str, float]:
    """All scores of one image: ssim, psnr, nmse, ssim_object, nmse_object (inside the object), ssim_matched, maximum.

    image, target: (y, x) real, the image already cropped to the target's shape. The data range is the maximum of this
    target, the unit of `maximum` as well, which is the brightest pixel; ssim_volume and psnr_volume, where `peak` is
    given, have the maximum of the volume's targets.
    """
    image, target = (array.detach().cpu().double().numpy() for array in (image, target))
    data_range = float(target.max())
    inside = object_mask(target)
    edge = (WINDOW - 1) // 2
    similarity = ssim_map(image, target, data_range)
    windows = inside[edge:-edge, edge:-edge]  # an object at the very border has none of its own: then all count
    found = {
        "ssim": float(similarity.mean()),
        "psnr": psnr(image, target, data_range),
        "nmse": nmse(image, target),
        "ssim_object": float(similarity[windows if windows.any() else ...].mean()),
        "nmse_object": nmse(image[inside], target[inside]),
        "ssim_matched": ssim(match_moments(image, target), target, data_range),
        "maximum": float(image.max()) / data_range,
    }
    if peak is not None:
        found |= {"ssim_volume": ssim(image, target, peak), "psnr_volume": psnr(image, target, peak)}
    return found
