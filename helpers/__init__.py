"""What the chapters of the book call: the measurement model, methods, data and yardsticks of robust MRI."""

from importlib import import_module

__version__ = "0.2.0"

WHERE = {  # the ten things that a user needs, imported when they are asked for: `from helpers import open_data, load`
    "Slice": "helpers.data",
    "open_data": "helpers.data",
    "draw_volume": "helpers.data.scanner",
    "mask_of": "helpers.experiments.evaluate",
    "Sense": "helpers.mri.sense",
    "load": "helpers.methods",
    "reconstruct": "helpers.experiments.evaluate",
    "scores": "helpers.mri.metrics",
    "Threat": "helpers.attacks.threat",
    "apgd": "helpers.attacks.apgd",
}
__all__ = list(WHERE)


def __getattr__(name: str) -> object:
    if name not in WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(WHERE[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *WHERE]
