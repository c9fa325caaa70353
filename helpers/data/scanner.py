"""The synthetic scanner: subjects without end, measured as fastMRI measures, deterministic from a seed."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from helpers.data.drawing.brain import draw_brain
from helpers.data.drawing.canvas import Canvas
from helpers.data.drawing.chance import Chance
from helpers.data.drawing.finding import add_findings, box_around
from helpers.data.drawing.knee import draw_knee
from helpers.data.drawing.measurement import SUPERSAMPLING, Scan
from helpers.data.drawing.tissue import signals
from helpers.data.slice import Slice, checksum
from helpers.errors import BadInput
from helpers.profiles import PROFILES, Profile

SOURCES = {"knee": 1, "brain": 2, "stanford": 3}
SPLITS = {"train": 1, "validation": 2, "test": 3}
PLANES = {
    "knee": {"coronal": 0.6, "sagittal": 0.2, "axial": 0.2},
    "brain": {"axial": 1.0},
    "stanford": {"axial": 0.85, "sagittal": 0.15},
}
CONTRASTS = {
    "knee": {"PD": 0.5, "PDFS": 0.5},
    "brain": {"T1": 0.3, "T2": 0.45, "FLAIR": 0.25},
    "stanford": {"CUBE": 1.0},
}
SNR = {"PD": (30, 100), "PDFS": (15, 45), "CUBE": (10, 25), "T1": (20, 80), "T2": (20, 80), "FLAIR": (20, 80)}
TRAINING_SNR = (15, 250)
# where the middle of a volume lies across the slices, in mm, and how far apart slices are
MIDDLE = {"coronal": (0, 16), "sagittal": (-26, 26), "axial": (-36, -10), "brain": (-42, 54)}
MOST = 16  # slices of a volume: more reach beyond some knee
PREFIX = {"coronal": "COR", "sagittal": "SAG", "axial": "AX"}
SPACING = {"knee": (2.8, 3.6), "brain": (4.5, 6), "stanford": (1.5, 2.5)}
FIELD_OF_VIEW = {"knee": (135, 150), "brain": (185, 255), "stanford": (150, 165)}
TRAINING_FIELD_OF_VIEW = {"knee": (120, 170), "brain": (165, 260), "stanford": (135, 175)}


class Subject:
    """One synthetic patient in one scan: every slice of a volume comes from the same one."""

    def __init__(self, source: str, seed: int, profile: Profile, split: str = "test", **overrides):
        for name, value, known in (("source", source, SOURCES), ("split", split, SPLITS)):
            if value not in known:
                raise BadInput(f"there is no {name} {value!r}; choose one of {', '.join(known)}")
        if not isinstance(seed, int) or seed < 0:
            raise BadInput(f"a seed is a whole number from 0 on, not {seed!r}")
        self.source, self.profile, self.split = source, profile, split
        self.volume = f"{source}-{split}-{seed:04d}"
        self.origin = checksum(repr((source, split, seed, profile, sorted(overrides.items()))))
        self.anatomy = "brain" if source == "brain" else "knee"
        self.chance = chance = Chance(SOURCES[source], SPLITS[split], seed)
        self.contrast, self.plane, snr, coils = self._settings(**overrides)
        training = split == "train"
        if coils is None:
            low, high = max(3, profile.coils // 2), profile.coils + profile.coils // 2
            coils = int(chance.uniform("coils", low, high + 1)) if training else profile.coils
        # the second site is never trained on: it has one noise level, that of its scans
        wide = training and source != "stanford"
        self.snr = chance.log_uniform("snr", *(TRAINING_SNR if wide else SNR[self.contrast])) if snr is None else snr
        self.middle = chance.uniform("middle", *MIDDLE["brain" if source == "brain" else self.plane])
        self.spacing = chance.uniform("spacing", *SPACING[source])
        self.signal = signals(chance, self.contrast, wide=training)
        fields = TRAINING_FIELD_OF_VIEW if training else FIELD_OF_VIEW
        self.scan = Scan(
            chance,
            profile,
            source,
            coils,
            plane=self.plane,
            field_of_view=chance.uniform("field of view", *fields[source]),
            training=training,
        )

    def _settings(self, contrast=None, plane=None, snr=None, coils=None, **unknown):
        """The overrides, checked, and the subject's own choice where there is none."""
        if unknown:
            raise BadInput(f"there is no override {', '.join(unknown)}; choose from contrast, plane, snr and coils")
        chosen = []
        for name, value, table in (("contrast", contrast, CONTRASTS), ("plane", plane, PLANES)):
            options = table[self.source]
            allowed = MIDDLE.keys() - {"brain"} if name == "plane" and self.anatomy == "knee" else options.keys()
            if value is not None and value not in allowed:
                raise BadInput(f"{self.source} has no {name} {value!r}; choose one of {', '.join(sorted(allowed))}")
            chosen.append(value or self.chance.choose(name, list(options), list(options.values())))
        if snr is not None and not (isinstance(snr, (int, float)) and np.isfinite(snr) and snr > 0):
            raise BadInput(f"snr is a positive number, not {snr!r}")
        if coils is not None and not (isinstance(coils, int) and 1 <= coils <= 64):
            raise BadInput(f"coils is a whole number from 1 to 64, not {coils!r}")
        return *chosen, snr, coils

    @property
    def acquisition(self) -> str:
        """Name of the sequence as fastMRI writes it."""
        if self.contrast == "CUBE":
            return "CUBE"
        return "AX" + self.contrast if self.anatomy == "brain" else f"{PREFIX[self.plane]}{self.contrast}_FBK"

    def slice(self, number: int, of: int, pathology: bool = True) -> Slice:
        """Slice `number` of a volume of `of` slices around the subject's middle."""
        position = self.middle + (number - (of - 1) / 2) * self.spacing
        canvas = Canvas(self.chance, self.scan.canvas_shape, self.scan.pixel, position, self.middle, number)
        if self.anatomy == "brain":
            sites = draw_brain(canvas, self.signal)
        else:
            sites = draw_knee(canvas, self.plane, self.signal)
        visible = 0.1 * float(np.quantile(canvas.image[::2, ::2], 0.95))
        changed, shown = add_findings(canvas.image, sites if pathology else [], visible)
        kspace, target = self.scan.measure(canvas.image, changed if shown else None, self.snr, position, number)
        boxes = (
            box_around(label, self.scan.upright(seen), SUPERSAMPLING, tuple(target.shape)) for label, seen in shown
        )
        return Slice(
            kspace=kspace,
            target=target,
            volume=self.volume,
            number=number,
            acquisition=self.acquisition,
            anatomy=self.anatomy,
            source=self.source,
            snr=float(self.snr),
            boxes=tuple(box for box in boxes if box is not None),
            origin=self.origin,
            drawn=f"slice {number} of {of}, {'with' if pathology else 'without'} its findings",
        )


def draw_volume(
    source: str,
    seed: int,
    profile: Profile,
    slices: int = 4,
    pathology: bool = True,
    split: str = "test",
    **overrides,
) -> list[Slice]:
    """Neighboring slices of one synthetic subject, as the scanner would deliver them.

    source     "knee" (coronal, sagittal, axial; PD and fat-suppressed PD), "brain" (axial T1, T2, FLAIR), or
               "stanford", a second knee site: mostly axial, fat-suppressed, lower SNR, blurred, k-space of the
               size of the image
    seed       the subject; the same (source, split, seed, profile) gives the same bytes
    pathology  False leaves the findings out of the very same subject, noise and coils
    split      "train", "validation" or "test": no subject is in two of them
    overrides  contrast, plane, snr, coils: fix what the subject would choose

    Returns slices with kspace (coil, ky, kx) complex64, the readout first, and target (y, x) float32, the RSS of the
    noisy data, in units like fastMRI's (maxima about 1e-4 to 1e-3). snr is the 90th percentile of the noise-free target
    over the standard deviation of the target's background. Bad values raise BadInput.
    """
    _check_slices(slices, MOST)
    subject = Subject(source, seed, profile, split, **overrides)
    return [subject.slice(number, slices, pathology) for number in range(slices)]


def _check_slices(slices: int, most: int) -> None:
    if not isinstance(slices, int) or not 1 <= slices <= most:
        raise BadInput(f"of a drawn volume 1 to {most} slices can be taken, not {slices!r}")


@lru_cache(maxsize=4)
def _subject(source: str, seed: int, profile: Profile, split: str) -> Subject:
    return Subject(source, seed, profile, split)


@lru_cache(maxsize=16)
def _slice(source: str, seed: int, profile: Profile, split: str, number: int, of: int) -> Slice:
    return _subject(source, seed, profile, split).slice(number, of)


class Synthetic(Sequence):
    """Slices of many synthetic subjects, drawn when asked for.

    Of every volume of 2 x `slices` slices each second one is taken, so that no two are near duplicates. The seeds of a
    split are 0 .. volumes - 1; splits share no subject.
    """

    def __init__(
        self,
        source: str,
        split: str = "test",
        volumes: int = 20,
        slices: int = 2,
        profile: Profile = PROFILES["laptop"],
    ):
        if volumes < 1:
            raise BadInput(f"a drawn set has at least one volume, not {volumes}")
        _check_slices(slices, MOST // 2)
        self.source, self.split, self.volumes, self.slices, self.profile = source, split, volumes, slices, profile
        _subject(source, 0, profile, split)

    def __len__(self) -> int:
        return self.volumes * self.slices

    def __getitem__(self, index: int) -> Slice:
        if not -len(self) <= index < len(self):
            raise IndexError(f"slice {index} of {len(self)}")
        seed, place = divmod(index % len(self), self.slices)
        return _slice(self.source, seed, self.profile, self.split, 2 * place + 1, 2 * self.slices)
