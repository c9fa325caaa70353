"""What the XML header of an ISMRMRD scan says: sizes, trajectory, and whose anatomy it is."""

import math
import xml.etree.ElementTree as etree
from dataclasses import dataclass

STANFORD = ("stanford", "packard", "lpch")  # as its hospitals call themselves
LARGEST = 2**31  # of the numbers of a header: the format counts in fewer bits
ANATOMIES = {"knee": ("knee",), "brain": ("brain", "head", "neuro", "cerebr")}


@dataclass(frozen=True)
class Header:
    """What the XML header says, in the order readout, phase-encode step 1 and step 2 where there are three.

    encoded: size of the k-space matrix; recon: size of the images of the scanner, which may be interpolated; kept:
    pixels of the encoded matrix within their field of view. center: index of the zero frequency along the two steps;
    last: greatest index of an image line, 0 where unknown; slices: of a 2D scan, 1 for a 3D one; coils: None where
    unknown; chopped: whether the sign alternates along the two steps; embedded: whether calibration lines are part of
    the image; anatomy: "knee", "brain" or "unknown"; source: as for `Slice`, "unknown" where nothing tells it.
    """

    encoded: tuple[int, int, int]
    recon: tuple[int, int, int]
    kept: tuple[int, int, int]
    center: tuple[int, int]
    last: tuple[int, int]
    slices: int
    coils: int | None
    chopped: tuple[bool, bool]
    trajectory: str
    embedded: bool
    acquisition: str
    anatomy: str
    source: str

    @property
    def volumetric(self) -> bool:
        """Whether the scan is encoded along three axes."""
        return self.encoded[2] > 1


def parsed(root: etree.Element) -> Header:
    """The part of an XML header that is needed; the ISMRMRD library's parser refuses headers that lack the rest.

    Only the first encoding is looked at. LookupError, ValueError or ArithmeticError where the header is damaged.
    """
    encoding = root.find("{*}encoding")
    if encoding is None:
        raise LookupError("encoding")
    encoded, recon, *views = spaces(encoding)
    if None in (*encoded, *recon):
        raise LookupError("matrixSize")
    encoded, recon = (tuple(max(round(size), 1) for size in sizes) for sizes in (encoded, recon))
    limits = [f"encodingLimits/kspace_encoding_step_{step}" for step in (1, 2)]
    centers = [_number(encoding, f"{each}/center", size // 2) for each, size in zip(limits, encoded[1:], strict=True)]
    parameters = root.findall("{*}userParameters/{*}userParameterLong")
    values = {each.findtext("{*}name"): each.findtext("{*}value") for each in parameters}
    channels = _number(root, "acquisitionSystemInformation/receiverChannels")
    anatomy, source = _whose(root)
    return Header(
        encoded=encoded,
        recon=recon,
        kept=tuple(map(within, encoded, recon, *views)),
        center=tuple(map(round, centers)),
        last=tuple(round(_number(encoding, f"{each}/maximum", 0)) for each in limits),
        slices=round(_number(encoding, "encodingLimits/slice/maximum", 0)) + 1 if encoded[2] == 1 else 1,
        coils=None if channels is None else round(channels),
        chopped=tuple(values.get(name) == "0" for name in ("ChopY", "ChopZ")),
        trajectory=_text(encoding, "trajectory").lower() or "cartesian",
        embedded=_text(encoding, "parallelImaging/calibrationMode").lower() == "embedded",
        acquisition=_text(root, "measurementInformation/protocolName") or "unknown",
        anatomy=anatomy,
        source=source,
    )


def spaces(encoding: etree.Element) -> list[tuple[float | None, ...]]:
    """Matrix of the k-space and of the images, and their fields of view in mm: three axes each, None where not told."""
    parts = ("matrixSize", "fieldOfView_mm")
    return [_axes(encoding, f"{space}/{part}") for part in parts for space in ("encodedSpace", "reconSpace")]


def within(encoded: int, recon: int, encoded_mm: float | None, recon_mm: float | None) -> int:
    """How many pixels of an encoded axis lie within the images' field of view; all of it at most.

    The field of view decides where both are given, since the images may be interpolated; else their matrix does.
    """
    if not all(each is not None and 0 < each < math.inf for each in (encoded_mm, recon_mm)):
        return min(recon, encoded)
    kept = round(encoded * min(recon_mm / encoded_mm, 1))
    return min(recon, encoded) if abs(kept - recon) <= 1 else kept  # fields of view are rounded in headers


def named(words: str) -> list[str]:
    """The anatomies that a text names."""
    return [anatomy for anatomy, names in ANATOMIES.items() if any(name in words.lower() for name in names)]


def _whose(root: etree.Element) -> tuple[str, str]:
    """Anatomy and source, as far as the header tells them.

    A Stanford knee is one of its hospitals' that names no other part of the body. Elsewhere the source is the
    anatomy, as for fastMRI's files.
    """
    part = _text(root, "studyInformation/bodyPartExamined").lower()
    told = ("protocolName", "seriesDescription", "sequenceName")
    words = [_text(root, f"measurementInformation/{name}") for name in told]
    words = " ".join([*words, _text(root, "studyInformation/studyDescription")]).lower()
    places = [_text(root, f"acquisitionSystemInformation/{name}") for name in ("institutionName", "stationName")]
    stanford = any(name in " ".join([*places, words]).lower() for name in STANFORD)
    found = named(part or words)
    if stanford and not found and not part and "cube" in words:
        found = ["knee"]  # mridata.org's 3D FSE knees, whose protocol says no more
    anatomy = found[0] if len(found) == 1 else "unknown"
    knee = anatomy == "knee" or not found and not part
    return anatomy, "stanford" if stanford and knee else anatomy


def _text(element: etree.Element, path: str) -> str:
    return (element.findtext("{*}" + path.replace("/", "/{*}")) or "").strip()


def _number(element: etree.Element, path: str, default: float | None = None) -> float | None:
    """A number of a header; Philips' converter writes whole ones as 35.9996."""
    value = float(_text(element, path) or math.nan)
    if abs(value) > LARGEST:
        raise ValueError(f"{path} is {value:g}")
    return default if math.isnan(value) else value


def _axes(encoding: etree.Element, path: str) -> tuple[float | None, ...]:
    return tuple(_number(encoding, f"{path}/{axis}") for axis in "xyz")
