"""ADMM for a penalty in an orthonormal basis: the data and the penalty each solved by itself, in a third of the steps.

Sources: Boyd et al. 2011, Distributed optimization by ADMM, with over-relaxation (section 3.4.3); the steps for the
data are two-dimensional minimizations, as in the locally optimal conjugate gradients of Knyazev, SIAM 2001.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from helpers.mri.sense import Sense
from helpers.sparsity.bases import Basis
from helpers.sparsity.proximal_gradient import DataTerm, soft_threshold

RELAXED = 1.7  # of 1 to 2: how far beyond the image of the data each step goes
SPRING = 0.02  # rho, the spring between both images, as a share of the bound of A^H A
SOFT = 0.01  # the same under attack, where images grow and lam does not: half the steps, for a third more without
STIFFER = 3  # rho over lam where that is more
LOOK = 5  # steps between two looks at the gap
FIRST = 20  # steps before the first one: no gap of use comes earlier
SHARES = (1e-3, 1e-4, 1e-5)  # of the energy of the coils, that compression may leave out, tried in turn
SHARED = 16  # neighboring rows of an image that share one inverse


class Splitting:
    """The iteration for P = 1/2 ||A x - y||^2 + lam ||W z||_1 with a spring rho between x and z, by rows of k-space.

    data: A, whose mask is along kx alone, and y; lam: (..., 1, 1); objective, bound and start: as in
    `ProximalGradient`; share: see `spring`. The image is z, in which P is read; the residual of x is nearly feasible
    for the dual problem, so that the bound is. The step for x is no exact solution of (A^H A + rho) x = right: in every
    row it is the best along two directions, the last one and the residual, turned by the inverse that `SHARED` rows
    have in common.
    `residual` is that of the equation, followed with the Gram operator of the compressed coils and put right by that
    of all coils at every look.
    """

    def __init__(
        self,
        data: DataTerm,
        basis: Basis,
        lam: Tensor,
        objective: Callable[[Tensor, Tensor], Tensor],
        bound: Callable[[Tensor, Tensor], Tensor],
        start: Tensor | None = None,
        share: float = SPRING,
    ):
        self.data, self.basis, self.lam, self.objective, self.bound = data, basis, lam, objective, bound
        self.x = data.b if start is None else start
        self.rho = spring(data.sense.bound, lam, share)
        self.quick = fitting(data.sense, self.rho)
        self.turned = SharedInverse(self.quick, self.rho)
        missing = data.b - data.sense.gram(self.x)
        self.sum = basis.forward(self.x + missing / self.rho)
        self.shrunk = soft_threshold(self.sum, lam / self.rho)
        self.wanted = 2 * self.shrunk - self.sum
        self.residual = missing + self.rho * (basis.adjoint(self.wanted) - self.x)
        self.direction = None

    @property
    def image(self) -> Tensor:
        return self.basis.adjoint(self.shrunk)

    def look(self) -> tuple[Tensor, Tensor]:
        image, gram_x = self.image, self.data.sense.gram(self.x)
        self.residual = self.data.b - gram_x + self.rho * (self.basis.adjoint(self.wanted) - self.x)
        return self.objective(image, self.data.sense.gram(image)), self.bound(self.x, gram_x)

    def step(self) -> None:
        if self.direction is None:
            p = self.turned(self.residual)
        else:
            self._along()
            p = self.turned(self.residual)
            p = _added(p, -_dot(self.pushed, p) / self.energy, self.direction)
        self.direction, self.pushed = p, self.quick.gram(p) + self.rho * p
        self.energy = _dot(p, self.pushed).clamp(min=torch.finfo(p.real.dtype).tiny)
        self._along()
        self.sum = self.sum + RELAXED * (self.basis.forward(self.x) - self.shrunk)
        self.shrunk = soft_threshold(self.sum, self.lam / self.rho)
        wanted = 2 * self.shrunk - self.sum
        self.residual = self.residual + self.rho * self.basis.adjoint(wanted - self.wanted)
        self.wanted = wanted

    def _along(self) -> None:
        """To the best place along the direction, row by row."""
        share = _dot(self.direction, self.residual) / self.energy
        self.x, self.residual = _added(self.x, share, self.direction), _added(self.residual, -share, self.pushed)


def spring(bound: Tensor, lam: Tensor, share: float = SPRING) -> Tensor:
    """rho, (..., 1, 1), for data in the unit of `noise.scale`: a share of the bound of A^H A, larger where lam is.

    Under a large lam most coefficients are zero, and a soft spring takes long to tell.
    """
    return (STIFFER * lam).clamp(share, 1 / share) * torch.where(bound > 0, bound, torch.ones_like(bound))


def fitting(sense: Sense, rho: Tensor) -> Sense:
    """A with as few coils as leave out less than a quarter of rho in every pixel.

    What is left out is put right only at looks; where it outweighs the spring, the steps between would overshoot.
    """
    whole = sense.maps.abs().square().sum(-3)
    for share in SHARES:
        quick = sense.compressed(share)
        if bool((whole - quick.maps.abs().square().sum(-3) <= rho / 4).all()):
            return quick
    return sense


class SharedInverse:
    """Nearly (A^H A + rho)^-1: rows do not mix, and neighbors see nearly the same coils.

    The inverse is that of the mean over so many rows, each pixel's mean over the rows in which a coil sees it.
    """

    @torch.no_grad()
    def __init__(self, sense: Sense, rho: Tensor):
        maps = sense.maps
        ny, n = maps.shape[-2:]
        self.rho, self.seen, self.missing = rho, (maps != 0).any(-3), -ny % SHARED
        times = self._grouped(self.seen.to(maps.real.dtype)).sum(-2, keepdim=True).clamp(min=1)
        rows = pad(maps.transpose(-3, -2), (0, 0, 0, 0, 0, self.missing)).unflatten(-3, (-1, SHARED)).flatten(-3, -2)
        rows = rows / times.sqrt()
        kernel = torch.fft.ifft(sense.shifted_mask.to(maps.dtype))  # (n,) or (..., 1, 1, n)
        places = torch.arange(n, device=maps.device)
        circulant = kernel[..., (places[:, None] - places) % n]
        circulant = circulant if kernel.ndim == 1 else circulant.squeeze(-4)
        identity = torch.eye(n, dtype=maps.dtype, device=maps.device)
        matrices = (rows.mH @ rows).mul_(circulant) + rho[..., None] * identity
        self.inverses = torch.cholesky_inverse(torch.linalg.cholesky(matrices)).mT

    def __call__(self, image: Tensor) -> Tensor:
        turned = (self._grouped(image * self.seen) @ self.inverses).flatten(-3, -2)
        return torch.where(self.seen, turned[..., : image.shape[-2], :], image / self.rho)

    def _grouped(self, image: Tensor) -> Tensor:
        """(..., y, x) as (..., group, row, x), with rows of zeros at the end where they do not divide."""
        return pad(image, (0, 0, 0, self.missing)).unflatten(-2, (-1, SHARED))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Re <a, b> of every row, (..., y, 1)."""
    return (torch.view_as_real(a) * torch.view_as_real(b)).sum((-2, -1))[..., None]


def _added(a: Tensor, share: Tensor, b: Tensor) -> Tensor:
    """a + share b, the share of every row a real number."""
    return torch.view_as_complex(torch.addcmul(torch.view_as_real(a), share[..., None], torch.view_as_real(b)))
