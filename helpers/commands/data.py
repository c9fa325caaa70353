"""Write synthetic volumes in fastMRI's multicoil HDF5 layout, with boxes of their findings.

Writes OUT/multicoil_SPLIT/*.h5, which fastMRI's own loader reads, and OUT/SOURCE.csv, the boxes as fastMRI+ has them.
Volumes that are there already are kept, so that a run that was stopped goes on where it was; a volume appears
complete or not at all. The same seed draws the same subject.
Example: python -m helpers data scans --source knee --volumes 10 --slices 4
"""

import argparse
import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from helpers.commands import show
from helpers.commands._inputs import COUNT, SEED
from helpers.data import FOLDERS, boxes, fastmri, scanner
from helpers.data.drawing.measurement import SUPERSAMPLING
from helpers.data.hdf5 import opened
from helpers.errors import BadInput
from helpers.profiles import PROFILES, profile

SETTINGS = "drawn_as"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to write to; made where it is not there")
    parser.add_argument("--source", default="knee", choices=scanner.SOURCES, help="what is scanned (default: knee)")
    parser.add_argument("--volumes", type=COUNT, help="number of volumes (default: the profile's)")
    words = f"neighboring slices of each volume, at most {scanner.MOST} (default: 4)"
    parser.add_argument("--slices", type=COUNT, default=4, help=words)
    parser.add_argument("--profile", default="laptop", choices=PROFILES, help="size of the scans (default: laptop)")
    parser.add_argument("--split", default="test", choices=FOLDERS, help="set that the subjects are of (default: test)")
    parser.add_argument(
        "--seed", type=SEED, default=0, help="seed of the first subject; the next has the next (default: 0)"
    )
    parser.add_argument("--no-pathology", action="store_true", help="draw the same subjects without their findings")
    parser.add_argument("--json", action="store_true", help="print one JSON object a volume")


def run(args: argparse.Namespace) -> int:
    size = profile(args.profile)
    volumes = size.volumes if args.volumes is None else args.volumes
    folder, table = args.out / FOLDERS[args.split], args.out / f"{args.source}.csv"
    if table.exists() and not is_ours(table, args.source):
        raise BadInput(f"{table} is there and not of this command; choose another folder or move it away")
    folder.mkdir(parents=True, exist_ok=True)
    show(written(args, folder, table, volumes), args.json)
    return 0


def is_ours(table: Path, source: str) -> bool:
    """Whether a table of boxes is of drawn volumes alone."""
    try:
        with table.open(encoding="utf8", newline="") as file:
            names = {row[0] for row in list(csv.reader(file))[1:] if row}
    except (OSError, ValueError, csv.Error):
        return False
    return all(re.fullmatch(rf"{source}-({'|'.join(FOLDERS)})-\d{{4,}}", name) for name in names)


def written(args: argparse.Namespace, folder: Path, table: Path, volumes: int) -> Iterator[dict]:
    """Write what is not there yet, and boxes to `table`; one row a volume."""
    size, pathology = profile(args.profile), not args.no_pathology
    for seed in tqdm(range(args.seed, args.seed + volumes), desc=str(folder), unit="volume"):
        subject = scanner.Subject(args.source, seed, size, args.split)
        path = folder / f"{subject.volume}.h5"
        settings = {"seed": seed, "profile": size.name, "slices": args.slices, "pathology": pathology}
        new = not path.exists()
        if new:
            slices = scanner.draw_volume(args.source, seed, size, args.slices, pathology, args.split)
            found = {(item.volume, item.number): item.boxes for item in slices}
            # boxes first: where there is a volume, its boxes are there, wherever the run was stopped
            boxes.write_csv(table, found, {subject.volume: slices[0].target.shape})
            pixel = subject.scan.pixel * SUPERSAMPLING
            attributes = {SETTINGS: json.dumps(settings)}
            fastmri.write_volume(path, slices, pixel=pixel, thickness=subject.spacing, attributes=attributes)
        elif drawn_as(path) != settings:
            raise BadInput(f"{path} was drawn with other settings; choose another folder or remove it")
        yield {"file": str(path), "slices": args.slices, "bytes": path.stat().st_size, "new": new}


def drawn_as(path: Path) -> dict | None:
    """The settings with which a volume was drawn; None where it is not of this command."""
    with opened(path) as file:
        return json.loads(file.attrs.get(SETTINGS, "null"))
