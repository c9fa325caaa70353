"""How the published notebooks attack, kept apart so that both can be run: strengths and steps that differ by method."""

import torch
from torch import Tensor

from helpers import methods
from helpers.data.slice import Slice
from helpers.methods import Method
from helpers.mri.fourier import ifft2c
from helpers.mri.noise import scale
from helpers.mri.sense import Sense
from helpers.published import coil_images
from helpers.published.ball import WARM, Ball, positive
from helpers.published.reconstruction import normalized

SAMPLE = 3.2e-5  # the root mean square of a sample of their knees, in whose units the rates below are given
RATES = {"unet": 5e-9, "varnet": 1e-6}  # of Adam on e
L1_STEP, L1_STEPS = 0.283, 350


@torch.enable_grad()
def network(method: Method, kind: str, kspace: Tensor, mask: Tensor, eps: float, seed: int = 0, steps: int = 2000):
    """The attack on a network: Adam on e away from its own clean output, with a rate for each network.

    method: of the kind "unet", whose outputs are compared each in the units of its own input, perturbed or not, or
    "varnet"; kspace: full (coil, ky, kx). Returns e, zero off the mask: the iterate of largest loss, of whatever
    strength it has reached.
    """
    unit = SAMPLE / kspace.abs().square().mean().sqrt()
    k = unit * kspace

    def output(full: Tensor) -> Tensor:
        image = method(mask * full, mask)
        return normalized(image, mask * full) if kind == "unet" else image

    with torch.no_grad():
        clean = output(k)
    drawn = torch.randn(k.shape, dtype=k.dtype, generator=torch.Generator().manual_seed(seed)).to(k.device)
    ball = Ball(k.norm(), eps)
    e = ball.begin(drawn).requires_grad_()
    adam, best = torch.optim.Adam([e], RATES[kind], maximize=True), (-torch.inf, e)
    for _ in range(steps):
        adam.zero_grad()
        loss = (output(k + e) - clean).square().mean()
        loss.backward()
        if loss.item() > best[0]:
            best = loss.item(), e.detach().clone()
        adam.step()
        with torch.no_grad():
            e.copy_(ball.project(e))
        if ball.done:
            break
    return mask * best[1].detach() / unit


@torch.no_grad()
def l1(kspace: Tensor, mask: Tensor, eps: float, seed: int = 0) -> Tensor:
    """The attack on "l1 minimization" (A.1 as coded, lambda 1e-18, lambda_1 1): one gradient step on x and e at a time.

    kspace: full (coil, ky, kx). The first 100 steps fit the clean measurement. x grows without bound, and only the
    projection keeps e. Returns the last e, zero off the mask.
    """
    unit = scale(kspace)[0, 0]
    k = kspace / unit
    sense = Sense.estimated(mask * k, mask)
    truth, power = (sense.maps.conj() * ifft2c(k)).sum(-3), sense.maps.abs().square().sum(-3)
    ball = Ball(k.norm(), eps)
    e, x = ball.begin(positive(k, seed)), torch.zeros_like(truth)
    for step in range(L1_STEPS):
        attacking = step >= WARM
        residual = sense.forward(x) - mask * (k + attacking * e)
        x = x - L1_STEP * (sense.adjoint(residual) - attacking * (power * x - truth))
        if attacking:
            e = ball.project(e + L1_STEP * residual)
            if ball.done:
                break
    return mask * e * unit


def as_published(name: str, item: Slice, mask: Tensor, eps: float, seed: int = 0) -> Tensor:
    """What the notebooks' attack on a method finds for one slice.

    name: one of `protocol.METHODS`; eps: relative to the full k-space. Returns e (coil, ky, kx), zero off the mask,
    in the units of the slice, with ||e|| <= eps ||k||: nobody asks whether it is reached.
    """
    if name in RATES:
        return network(methods.load(name, item), name, item.kspace, mask, eps, seed)
    attack = l1 if name == "wavelet" else coil_images.attack
    return attack(item.kspace, mask, eps, seed)
