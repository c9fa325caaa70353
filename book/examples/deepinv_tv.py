"""Plug and play with a model of deepinv: its total variation denoiser in place of the proximal step."""

import deepinv
import torch

from helpers import Sense
from helpers.mri.noise import expected_rss


def reconstruct(kspace, mask, steps=20, strength=0.003):
    sense = Sense.estimated(kspace, mask)
    denoiser = deepinv.models.TVDenoiser(n_it_max=20)
    image = sense.adjoint(kspace)
    scale = image.abs().amax()
    for _ in range(steps):
        image = image - sense.adjoint(sense.forward(image) - kspace) / sense.bound
        parts = torch.view_as_real(image / scale).permute(2, 0, 1)[:, None]
        image = scale * torch.view_as_complex(denoiser(parts, strength)[:, 0].permute(1, 2, 0).contiguous())
    return expected_rss(image, kspace, mask)
