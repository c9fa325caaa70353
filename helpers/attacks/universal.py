"""One perturbation for many measurements: found on some slices, it is tried on others."""

import torch
from torch import Tensor

from helpers.attacks.found import Found
from helpers.attacks.threat import Threat, direction, length


def universal(threats: list[Threat], seed: int = 0, steps: int = 40, stretch: float = 5) -> tuple[Tensor, Found]:
    """Maximize the mean loss of several slices over one direction d, ||d|| = 1, with e = eps ||y|| d for each.

    threats: of slices of one shape under one mask. Projected gradient ascent as in `pgd`, d <- d + alpha g / ||g||,
    then d / ||d||, g the sum of the slopes, with alpha = stretch / steps; the best iterate counts. Returns d (coil, ky,
    kx) and what was found, with one e for each slice stacked. Source: Moosavi-Dezfooli et al., CVPR 2017.
    """
    radii = [threat.radius for threat in threats]
    d = direction(threats[0].noise(seed)[0])
    best, curve, norms = None, [], []
    for step in range(steps + 1):
        slopes = [threat.slope(radius * d) for threat, radius in zip(threats, radii, strict=True)]
        losses = torch.stack([loss for loss, _ in slopes])
        gradient = sum(radius * slope for radius, (_, slope) in zip(radii, slopes, strict=True))
        if best is None or losses.mean() > best[1].mean():
            best = d, losses
        curve.append(best[1].mean())
        norms.append(length(gradient)[0, 0, 0])
        if step < steps:
            d = direction(d + stretch / steps * direction(gradient))
    d, losses = best
    e = torch.stack([radius * d for radius in radii])
    return d, Found(e, losses, torch.stack(curve), torch.stack(norms), (steps + 1) * len(threats))
