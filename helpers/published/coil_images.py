"""The notebooks' ConvDecoder: an image of every coil, fitted and attacked by one Adam, in steps that can be waited for.

They fit 200 channels in 10,000 steps, hours on a core. Objective, unknowns, optimizer and its rate are theirs.
"""

from dataclasses import replace

import torch
from torch import Tensor

from helpers.mri.fourier import fft2c, ifft2c
from helpers.published.ball import WARM, Ball, positive
from helpers.untrained.fit import Fitting
from helpers.untrained.problem import Problem
from helpers.untrained.recipes import PUBLISHED

SHORT = replace(
    PUBLISHED,
    options={"channels": 64, "layers": 6, "start": (10, 5), "bias": True},
    steps=600,
    crop=True,
    precision="bfloat16",
)
SIZES = {"base": SHORT, "small": replace(SHORT, options=SHORT.options | {"channels": 32})}
STEPS = 400  # of the attack
PULL = 0.05  # lambda_1


@torch.enable_grad()
def attack(kspace: Tensor, mask: Tensor, eps: float, seed: int = 0) -> Tensor:
    """The attack on the ConvDecoder (A.1 as coded): one Adam on its weights and on e, for a bad image that explains e.

        min over theta and ||e|| <= eps ||k|| of MSE(M F G, M (k + e)) - lambda_1 MSE(G, F^-1 k),

    G the images of all coils, driven away from those of the full k-space, in units in which k is as large as what the
    untrained G gives. kspace: full k (coil, ky, kx); seed: of weights and input, and of where e begins. Image rows
    of nothing but noise are left out. Returns the last e, zero off the mask, on the grid and in the units of kspace.
    """
    problem = Problem(mask * kspace, mask, SHORT, seed)
    mask = problem.mask  # along kx where it is the same in all rows, of which some are left out
    fitting = Fitting(problem, seed)
    fitting.scale = torch.ones_like(fitting.scale)  # images as the generator gives them
    with torch.no_grad():
        unit = fitting.image().norm() / kspace.norm()
    truth = unit * ifft2c(kspace)[..., problem.rows, :]
    k, ball = fft2c(truth), Ball(unit * kspace.norm(), eps)
    e = ball.begin(positive(k, seed)).requires_grad_()
    adam = torch.optim.Adam([*fitting.generator.parameters(), e], SHORT.rate)
    for step in range(STEPS):
        attacking = step >= WARM
        adam.zero_grad()  # to None, for which Adam waits with e
        images = fitting.image()
        residual = mask * (fft2c(images) - k - (e if attacking else 0))
        loss = square(residual) - (PULL * square(images - truth) if attacking else 0)
        loss.backward()
        adam.step()
        if attacking:
            e.data = ball.project(e.data)
    return mask * fft2c(problem.whole(ifft2c(e.detach() * mask / unit)))


def square(values: Tensor) -> Tensor:
    """The mean square of real and imaginary parts."""
    return torch.view_as_real(values).square().mean()
