"""Tissues as numbers, and the signal that a sequence gets from them."""

from dataclasses import dataclass

import numpy as np

from helpers.data.drawing.chance import Chance


@dataclass(frozen=True)
class Tissue:
    """Proton density (water 1), T1 and T2 in ms at 1.5-3 T, and the share of the signal that fat saturation removes."""

    density: float
    t1: float
    t2: float
    fat: float = 0.0


TISSUES = {
    "fat": Tissue(0.88, 370, 100, 1),
    "marrow": Tissue(0.85, 380, 110, 0.9),
    "red marrow": Tissue(0.80, 650, 70, 0.5),
    "bone": Tissue(0.06, 800, 10),
    "muscle": Tissue(0.68, 1300, 34),
    "cartilage": Tissue(0.80, 1200, 45),
    "meniscus": Tissue(0.45, 1000, 13),
    "ligament": Tissue(0.40, 1000, 10),
    "fluid": Tissue(1.00, 3600, 700),
    "skin": Tissue(0.65, 900, 35),
    "blood": Tissue(0.85, 1700, 160),
    "edema": Tissue(0.90, 1500, 130),
    "gray matter": Tissue(0.84, 1400, 102),
    "white matter": Tissue(0.71, 800, 80),
    "deep gray matter": Tissue(0.80, 1150, 82),
    "pallidum": Tissue(0.74, 950, 62),
    "cerebrospinal fluid": Tissue(1.00, 4200, 1700),
    "lesion": Tissue(0.88, 1600, 160),
}
# repetition, echo and inversion time in ms, each from a range; probability and residue of fat saturation
SEQUENCES = {
    "PD": ((2200, 3200), (26, 36), None, 0.0, (1, 1)),
    "PDFS": ((2200, 3200), (26, 36), None, 1.0, (0.05, 0.16)),
    "CUBE": ((1400, 1700), (22, 28), None, 1.0, (0.08, 0.2)),
    "T1": ((400, 700), (8, 14), None, 0.35, (0.2, 0.5)),
    "T2": ((3800, 6000), (85, 115), None, 0.0, (1, 1)),
    "FLAIR": ((8500, 9500), (85, 120), (2350, 2600), 0.35, (0.2, 0.5)),
}


def signals(chance: Chance, contrast: str, wide: bool = False) -> dict[str, float]:
    """How bright each tissue is: the spin-echo equation with the parameters of one scan of one subject.

    contrast: a key of SEQUENCES. Returns the magnitude of every tissue, arbitrary units, air being 0. Density varies
    by 4 % and the relaxation times by 7 % between subjects. wide: echo and repetition times far outside what is usual,
    so that a network trained on them has seen more than one protocol.
    """
    repetition_range, echo_range, inversion_range, saturation, residue_range = SEQUENCES[contrast]
    if wide:
        repetition_range = 0.8 * repetition_range[0], 1.3 * repetition_range[1]
        echo_range = 0.3 * echo_range[0], 1.2 * echo_range[1]
    repetition = chance.uniform("repetition time", *repetition_range)
    echo = chance.uniform("echo time", *echo_range)
    saturated = chance.happens("fat saturation", saturation)
    residue = chance.uniform("fat residue", *residue_range) if saturated else 1.0
    result = {}
    for name, tissue in TISSUES.items():
        density = tissue.density * (1 + chance.normal(name + " density", 0.04))
        t1 = tissue.t1 * np.exp(chance.normal(name + " T1", 0.07))
        t2 = tissue.t2 * np.exp(chance.normal(name + " T2", 0.07))
        recovered = 1 - np.exp(-repetition / t1)
        if inversion_range is not None:
            inversion = chance.uniform("inversion time", *inversion_range)
            recovered = 1 - 2 * np.exp(-inversion / t1) + np.exp(-repetition / t1)
        kept = 1 - tissue.fat + tissue.fat * residue
        result[name] = float(abs(density * recovered * np.exp(-echo / t2)) * kept)
    return result
