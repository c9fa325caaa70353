"""What the weights of a network depend on, and the recipes of the networks that are shipped."""

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from torch import Tensor, nn

from helpers.errors import BadInput
from helpers.mri.similarity import one_minus_ssim
from helpers.places import ZOO
from helpers.profiles import PROFILES

SHIPPED = ZOO / "recipes.toml"
LOSSES = ("ssim+mse", "ssim", "l1", "mse")
OUTLIERS = 10.0  # weight of the squared error beside 1 - SSIM


@dataclass(frozen=True)
class Recipe:
    """All that the weights of a network depend on; wrong values raise BadInput.

    architecture  as `networks.build` takes it
    data          names of drawn sources, or one folder with fastMRI's multicoil_train and multicoil_val
    steps         planned steps, to which the learning rate is tied; batch: slices a step and process
    loss          "ssim" (1 - SSIM, data range of the target, as the published VarNet), "l1" (as the published
                  U-Net), "mse", or "ssim+mse": 1 - SSIM + 10 MSE / range^2, about .01 on a good image, but steep
                  where a few pixels are far off and SSIM is flat; l1 and mse in units of `noise.scale`
    vary          draw other matrices, too, now and then
    blocks        of slices that a step may choose from, see `data.Stream`
    cropped       share of the steps, the first ones, that see bands of rows and cost less than the whole readout
    """

    name: str
    architecture: Mapping
    data: tuple[str, ...] = ("knee",)
    profile: str = "laptop"
    steps: int = 10_000
    batch: int = 1
    loss: str = "ssim"
    learning_rate: float = 1e-3
    seed: int = 0
    vary: bool = True
    blocks: int = 16
    cropped: float = 0.5

    def __post_init__(self):
        if not self.name or any(letter in self.name for letter in "/\\: ") or self.name.startswith("."):
            raise BadInput(f"{self.name!r} is no name for a network; use letters, digits and hyphens")
        if min(self.steps, self.batch, self.blocks) < 1 or self.seed < 0 or not self.learning_rate > 0:
            raise BadInput("steps, batch, blocks and learning rate must be positive, and the seed 0 or more")
        if not 0 <= self.cropped <= 1:
            raise BadInput(f"cropped is a share of the steps, from 0 to 1, not {self.cropped}")
        if self.loss not in LOSSES:
            raise BadInput(f"there is no loss {self.loss!r}; choose one of {', '.join(LOSSES)}")
        if self.profile not in PROFILES:
            raise BadInput(f"there is no profile {self.profile!r}; choose one of {', '.join(PROFILES)}")
        if "network" not in self.architecture:
            raise BadInput(f'{self.name} needs an architecture such as {{"network": "unet"}}')

    def plain(self) -> dict:
        """The recipe as JSON gives it back."""
        return json.loads(json.dumps(asdict(self)))


def shipped(path: Path = SHIPPED) -> dict[str, Recipe]:
    """The recipes of the zoo by name, the most needed first: `defaults` in the file hold for all."""
    found = tomllib.loads(path.read_text("utf8"))
    defaults = found.pop("defaults", {})
    recipes = {}
    for name, own in found.items():
        values = {"name": name, **defaults, **own}
        strange = sorted(values.keys() - {each.name for each in fields(Recipe)})
        if strange:
            raise BadInput(f"{path}: {name} has no setting {strange[0]!r}")
        recipes[name] = Recipe(**values | {"data": tuple(values["data"])})
    return recipes


def loss_function(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of that name: (image, target), each (batch, y, x) real, to a number. BadInput names the choices."""
    if name not in LOSSES:
        raise BadInput(f"there is no loss {name!r}; choose one of {', '.join(LOSSES)}")
    if name == "l1":
        return nn.functional.l1_loss
    if name == "mse":
        return nn.functional.mse_loss

    def similarity(image: Tensor, target: Tensor) -> Tensor:
        return one_minus_ssim(image, target, target.amax((-2, -1))).mean()

    def with_outliers(image: Tensor, target: Tensor) -> Tensor:
        error = (image - target) / target.amax((-2, -1), keepdim=True)
        return similarity(image, target) + OUTLIERS * error.square().mean()

    return with_outliers if name == "ssim+mse" else similarity


def learning_rate(step: int, steps: int, peak: float, restart: int = 0, full: int = 0) -> float:
    """The rate at a step: warmed up over 200 steps (or a twentieth) from `restart`, then a cosine to 1 % at the end.

    full: the step at which the cosine begins, other than 0 where a training was restarted at the full rate.
    """
    warm = min(200, max(1, (steps - full) // 20))
    cosine = 0.01 + 0.99 * (1 + math.cos(math.pi * min(1, (step - full) / (steps - full)))) / 2
    return peak * cosine * min(1, (step - restart + 1) / warm)
