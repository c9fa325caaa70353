"""How the published notebooks attack, kept apart so that both can be run: strengths and steps that differ by method."""

import torch
from torch import Tensor

from helpers import methods
from helpers.attacks import Threat
from helpers.attacks.exact import complex_truth
from helpers.attacks.joint import joint
from helpers.attacks.unknowns import Decoder
from helpers.data.slice import Slice
from helpers.methods import Method
from helpers.mri.fourier import ifft2c
from helpers.mri.noise import scale
from helpers.mri.rss import rss
from helpers.mri.sense import Sense
from helpers.untrained.recipes import FITS

SAMPLE = 3.2e-5  # the root mean square of a sample of their knees, in whose units the rates below are given
RATES = {"unet": 5e-9, "varnet": 1e-6}  # of Adam on e
TINY = 1e-4  # the strength from which e grows
PULL = 0.05  # lambda_1 of the attack on the ConvDecoder, which is `attacks.joint` with the last e
L1_STEP, L1_STEPS, WARM = 0.283, 350, 100


class Ball:
    """||e|| <= eps ||k|| with the norm of the FULL k-space, and when the notebooks stop."""

    def __init__(self, kspace: Tensor, eps: float):
        self.size, self.eps, self.projections, self.ratios = kspace.norm(), eps, 0, []

    def project(self, e: Tensor) -> Tensor:
        ratio = float(e.norm() / self.size)
        self.projections += ratio > self.eps
        self.ratios.append(min(ratio, self.eps))
        return e * min(1, self.eps / ratio)

    @property
    def done(self) -> bool:
        """After more than 100 projections, or where the strength changed by less than .01 in 200 steps."""
        stalled = len(self.ratios) > 200 and abs(self.ratios[-1] - self.ratios[-201]) < 0.01
        return self.projections > 100 or stalled


def network(method: Method, kind: str, kspace: Tensor, mask: Tensor, eps: float, seed: int = 0, steps: int = 2000):
    """The attack on a network: Adam on e away from its own clean output, with a rate for each network.

    method: of the kind "unet", whose loss is in units of the spread of its input, or "varnet"; kspace: full
    (coil, ky, kx). Returns e, zero off the mask: the iterate of largest loss, of whatever strength it has reached.
    """
    unit = SAMPLE / kspace.abs().square().mean().sqrt()
    k = unit * kspace
    with torch.no_grad():
        clean = method(mask * k, mask)
        spread = rss(ifft2c(mask * k)).std() if kind == "unet" else 1.0
    drawn = torch.randn(k.shape, dtype=k.dtype, generator=torch.Generator().manual_seed(seed)).to(k.device)
    e = (TINY * k.norm() * drawn / drawn.norm()).requires_grad_()
    adam, ball, best = torch.optim.Adam([e], RATES[kind], maximize=True), Ball(k, eps), (-torch.inf, e)
    for _ in range(steps):
        adam.zero_grad()
        loss = ((method(mask * (k + e), mask) - clean) / spread).square().mean()
        loss.backward()
        if loss.item() > best[0]:
            best = loss.item(), e.detach().clone()
        adam.step()
        with torch.no_grad():
            e.copy_(ball.project(e))
        if ball.done:
            break
    return mask * best[1] / unit


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
    drawn = torch.rand(k.shape, generator=torch.Generator().manual_seed(seed)).to(k)
    e, x, ball = TINY * k.norm() * drawn / drawn.norm(), torch.zeros_like(truth), Ball(k, eps)
    for step in range(L1_STEPS):
        attacking = step >= WARM
        residual = sense.forward(x) - mask * (k + attacking * e)
        x = x - L1_STEP * (sense.adjoint(residual) - attacking * (power * x - truth))
        if attacking:
            e = ball.project(e + L1_STEP * residual)
            if ball.done:
                break
    return mask * e * unit


def as_published(name: str, item: Slice, y: Tensor, mask: Tensor, eps: float, strength: float, seed: int) -> Tensor:
    """What the notebooks' attack on a method finds for one slice; strength: eps, relative to the measured entries."""
    if name in RATES:
        method = methods.load(name, source=item.source)
        return network(method, name, item.kspace, mask, eps, seed)
    if name == "wavelet":
        return l1(item.kspace, mask, eps, seed)
    sense = Sense.estimated(y, mask)
    decoder = Decoder(y, mask, FITS[name], seed)
    threat = Threat(methods.load("zero-filled"), y, mask, strength, item.target)  # only the last e counts
    return joint(threat, sense, decoder, complex_truth(item, sense), steps=400, pull=PULL, looks=1).e
