"""How the book looks: one color a method, gray images, perceptually uniform error maps, units on every axis."""

from helpers.figures import attacks, features, shifts
from helpers.figures.curves import fit_curves, intervals, real_curves, recipes, training_curves, tuning_curves
from helpers.figures.images import comparison, finding, images, log_kspace, measured
from helpers.figures.look import COLORS, ERROR_MAP, GAIN, array, color, lambda_axis, show, style
from helpers.figures.page import annotated, claims, code, listing, referenced, say

__all__ = ["COLORS", "ERROR_MAP", "GAIN", "annotated", "array", "attacks", "claims", "code", "color", "comparison"]
__all__ += ["features", "finding", "fit_curves"]
__all__ += ["images", "intervals", "lambda_axis", "listing", "log_kspace", "measured", "real_curves", "recipes"]
__all__ += ["referenced", "say", "shifts", "show", "style", "training_curves", "tuning_curves"]
