"""The Fourier transform of the book, F: centered and orthonormal over the last two axes."""

from torch import Tensor, fft

AXES = (-2, -1)


def fft2c(image: Tensor) -> Tensor:
    """k-space of an image: y = F x.

    image: (..., y, x) complex, the origin at (y // 2, x // 2). Returns (..., ky, kx), the zero frequency at
    (ky // 2, kx // 2), same dtype. F is unitary: F^H F = I.
    """
    return fft.fftshift(fft.fft2(fft.ifftshift(image, dim=AXES), norm="ortho"), dim=AXES)


def ifft2c(kspace: Tensor) -> Tensor:
    """Image of a k-space: x = F^H y, the inverse and the adjoint of `fft2c`; same shapes and dtypes."""
    return fft.fftshift(fft.ifft2(fft.ifftshift(kspace, dim=AXES), norm="ortho"), dim=AXES)


def center_crop(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """The central part of an image, as fastMRI crops its targets.

    image: (..., y, x); shape: (height, width), at most the image's own. Returns (..., height, width), a view.
    """
    (height, width), (ny, nx) = shape, image.shape[-2:]
    if height > ny or width > nx:
        raise ValueError(f"an image of {ny} x {nx} has no center of {height} x {width}")
    top, left = (ny - height) // 2, (nx - width) // 2
    return image[..., top : top + height, left : left + width]


def crop_readout(kspace: Tensor, height: int) -> Tensor:
    """k-space of the central `height` rows of the image: removes the oversampling of a fully sampled readout.

    kspace: (..., ky, kx), every ky measured wherever kx is. Returns (..., height, kx). The rows kept are those
    of `center_crop`; nothing of them is lost, since a mask along kx acts on each image row alone.
    """
    rows = fft.fftshift(fft.ifft(fft.ifftshift(kspace, dim=-2), dim=-2, norm="ortho"), dim=-2)
    rows = center_crop(rows, (height, kspace.shape[-1]))
    return fft.fftshift(fft.fft(fft.ifftshift(rows, dim=-2), dim=-2, norm="ortho"), dim=-2)
