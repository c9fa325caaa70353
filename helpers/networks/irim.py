"""The invertible recurrent inference machine: a deep unrolled network trained in constant memory."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.parametrizations import weight_norm

from helpers.errors import BadInput
from helpers.mri.coils import espirit
from helpers.mri.masks import fitting
from helpers.mri.noise import expected_rss, scale
from helpers.mri.sense import Sense


class IRIM(nn.Module):
    """Iterates (image eta, memory s): s <- s + A^H (A eta - y), then (eta, s) <- h_t(eta, s), all of it invertible.

    steps: number of networks h_t; channels: of the state, the first two the real and imaginary part of eta, the
    others the memory; hidden, dilations: width and downsampling of each layer of an h_t (see `Coupling`);
    reflections: Householder factors of a layer's rotation.

    Since each layer can be undone, training stores the last state alone and recomputes the others on the way back:
    memory does not grow with steps or layers, at the price of two more evaluations of a layer. `memory_free = False`
    leaves the backward pass to autograd; half precision would spoil the inverse, so that autocast is switched off.

    The published machine for several coils works on the 15 coil images of fastMRI, without maps. Here eta is the one
    image that coil maps combine (A = M F S, S by ESPIRiT and constant), so that any number of coils will do, and the
    result is `noise.expected_rss` of eta, since |eta| has no noise where the reference has. Its multiplicity, 1 as
    published, is left out. Source: Putzky and Welling, NeurIPS 2019, arXiv 1911.10914.
    """

    def __init__(
        self,
        steps: int = 8,
        channels: int = 96,
        hidden: tuple[int, ...] = (64, 64, 128, 128, 256, 1024, 1024, 256, 128, 128, 64, 64),
        dilations: tuple[int, ...] = (1, 1, 2, 2, 4, 8, 8, 4, 2, 2, 1, 1),
        reflections: int = 3,
    ):
        super().__init__()
        if len(hidden) != len(dilations):
            raise BadInput(
                f"irim has {len(hidden)} hidden widths for {len(dilations)} dilations; give one for each layer"
            )
        if channels < 4:
            raise BadInput(f"irim has {channels} channels; image and gradient alone take 4")
        layers: list[nn.Module] = [GradientStep()]
        for _ in range(steps):
            layers += [Coupling(channels, width, dilation, reflections) for width, dilation in zip(hidden, dilations)]
            layers += [GradientStep()]
        self.layers = nn.ModuleList(layers)
        self.channels = channels
        self.memory_free = True

    def forward(self, kspace: Tensor, mask: Tensor, maps: Tensor | None = None) -> Tensor:
        """Reconstructs: kspace (..., coil, ky, kx) complex, mask (kx,) or (ky, kx) bool, to (..., y, x) real.

        maps: (..., coil, y, x) complex, by ESPIRiT where they are not given.
        """
        with torch.autocast(kspace.device.type, enabled=False):
            state, start, model, unit = self._start(kspace, mask, maps)
            if self.memory_free:
                parameters = [parameter for layer in self.layers for parameter in layer.parameters()]
                state = _MemoryFree.apply(self.layers, model, state, start, *parameters)
            else:
                for layer in self.layers:
                    state = state + layer(state, start, model)
            return _image(state, unit, kspace, mask)

    @torch.no_grad()
    def iterates(self, kspace: Tensor, mask: Tensor, maps: Tensor | None = None) -> Tensor:
        """The image of eta at the start and after each step: (steps + 1, ..., y, x); arguments as `forward`."""
        return torch.stack(list(self._iterates(kspace, mask, maps)))

    def _iterates(self, kspace: Tensor, mask: Tensor, maps: Tensor | None) -> Iterator[Tensor]:
        state, start, model, unit = self._start(kspace, mask, maps)
        for layer in self.layers:
            state = state + layer(state, start, model)
            if isinstance(layer, GradientStep):
                yield _image(state, unit, kspace, mask)

    def inverse(self, state: Tensor, start: Tensor, model: Sense) -> Tensor:
        """The first state of the machine from its last, both (batch, channels, y, x)."""
        for layer in reversed(self.layers):
            state = state - layer(state, start, model)
        return state

    @torch.no_grad()
    def round_trip(self, kspace: Tensor, mask: Tensor) -> float:
        """Relative error of the first state when the machine is run to its end and undone; arguments as `forward`."""
        first, start, model, _ = self._start(kspace, mask, None)
        state = first
        for layer in self.layers:
            state = state + layer(state, start, model)
        return float((self.inverse(state, start, model) - first).norm() / first.norm())

    def _start(self, kspace: Tensor, mask: Tensor, maps: Tensor | None) -> tuple[Tensor, Tensor, Sense, Tensor]:
        """First state, A^H y, A, and the unit of the image, 0 where nothing was measured."""
        kspace = fitting(mask, kspace.shape[-2:]) * kspace
        unit = scale(kspace)
        batch = (kspace / unit[..., None]).reshape(-1, *kspace.shape[-3:])
        maps = espirit(batch.detach(), mask) if maps is None else maps.reshape(batch.shape)
        model = Sense(maps.detach(), mask)
        start = model.adjoint(batch)
        memory = start.real.new_zeros(len(batch), self.channels - 2, *batch.shape[-2:])
        state = torch.cat((torch.view_as_real(start).movedim(-1, 1), memory), dim=1)
        return state, start, model, unit * (kspace != 0).flatten(-3).any(-1)[..., None, None]


class GradientStep(nn.Module):
    """What data consistency adds to the memory: A^H A eta - A^H y, in the two channels behind those of eta."""

    def forward(self, state: Tensor, start: Tensor, model: Sense) -> Tensor:
        """The update of the state; it reads eta alone, which it leaves as it is."""
        gradient = model.gram(_complex(state)) - start
        return F.pad(torch.view_as_real(gradient).movedim(-1, 1), (0, 0, 0, 0, 2, state.shape[1] - 4))


class Coupling(nn.Module):
    """x + U_2^T G(U_1 x): a residual network G from one half of the rotated channels to the other.

    U = (U_1; U_2) is a product of Householder reflections, orthogonal: U_1 U_2^T = 0, hence G sees the same input
    after the update as before it, and subtracting the update undoes it. G works on a grid that is `dilation` times
    coarser: strided convolution, 3x3 convolution, transposed convolution, gate.
    """

    def __init__(self, channels: int, hidden: int, dilation: int, reflections: int):
        super().__init__()
        self.left, right = channels // 2, channels - channels // 2
        self.dilation = dilation
        self.reflections = nn.Parameter(torch.randn(min(reflections, channels), channels))
        self.down = weight_norm(nn.Conv2d(self.left, hidden, dilation, stride=dilation))
        self.middle = weight_norm(nn.Conv2d(hidden, hidden, 3, padding=1))
        self.up = weight_norm(nn.ConvTranspose2d(hidden, 2 * right, dilation, stride=dilation, bias=False))

    def forward(self, state: Tensor, start: Tensor, model: Sense) -> Tensor:
        """The update of the state; it takes nothing from the measurement."""
        rotation = self.rotation()[:, :, None, None]
        ny, nx = state.shape[-2:]
        half = F.pad(F.conv2d(state, rotation[: self.left]), (0, -nx % self.dilation, 0, -ny % self.dilation))
        half = self.up(self.middle(self.down(half).relu()).relu())[..., :ny, :nx]
        return F.conv_transpose2d(F.glu(half, dim=1), rotation[self.left :])

    def rotation(self) -> Tensor:
        """U, (channels, channels) and orthogonal."""
        rotation = torch.eye(self.reflections.shape[1], dtype=self.reflections.dtype, device=self.reflections.device)
        for v in self.reflections:
            rotation = rotation - 2 * torch.outer(rotation @ v, v) / (v @ v)
        return rotation


class _MemoryFree(torch.autograd.Function):
    """state <- state + layer(state) for all layers; backward undoes one layer after the other, and recomputes it."""

    @staticmethod
    def forward(ctx, layers, model, state, start, *parameters):
        for layer in layers:
            state = state + layer(state, start, model)
        ctx.layers, ctx.model = layers, model
        ctx.save_for_backward(state, start)
        return state

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        state, start = ctx.saved_tensors
        start_gradient = torch.zeros_like(start)
        found: list[Tensor | None] = []
        with torch.autocast(state.device.type, enabled=False):
            for layer in reversed(ctx.layers):
                state = state - layer(state, start, ctx.model)
                parameters = list(layer.parameters())
                learned = [parameter for parameter in parameters if parameter.requires_grad]
                with torch.enable_grad():
                    leaves = [state.detach().requires_grad_(), start.detach().requires_grad_()]
                    update = layer(*leaves, ctx.model)
                    got = torch.autograd.grad(update, [*leaves, *learned], gradient, allow_unused=True)
                gradient = gradient + got[0]
                if got[1] is not None:
                    start_gradient += got[1]
                learned_gradients = iter(got[2:])
                found = [next(learned_gradients) if p.requires_grad else None for p in parameters] + found
        return None, None, gradient, start_gradient, *found


def _complex(state: Tensor) -> Tensor:
    """eta: (batch, y, x) complex."""
    return torch.view_as_complex(state[:, :2].movedim(1, -1).contiguous())


def _image(state: Tensor, unit: Tensor, kspace: Tensor, mask: Tensor) -> Tensor:
    """The reference that eta leads one to expect, in the units of the measurement; zero where nothing was measured."""
    image = _complex(state).reshape(*kspace.shape[:-3], *kspace.shape[-2:]) * unit
    return expected_rss(image, fitting(mask, kspace.shape[-2:]) * kspace, mask)
