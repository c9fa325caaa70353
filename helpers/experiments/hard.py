"""Naturally hard images (fastMRI-A): five slices of every volume, ranked by a network that is not under study."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers import methods
from helpers.data import DRAWN, open_data
from helpers.data.slice import Slice
from helpers.errors import BadInput, say_once
from helpers.experiments import evaluate
from helpers.mri.noise import noise_level, recorded
from helpers.profiles import Profile

RANKED_BY = "irim-knee"  # none of the methods whose robustness is asked for
VOLUMES, SLICES = 199, 5  # as many as fastMRI's validation set has of knees, and as the paper takes of each
SHARE = 0.1  # the lowest
CENTER = 0.07  # share of the columns that hold low frequencies: the center of the notebooks' masks
KEYS = ["place"]


def ranked(
    profile: Profile, volumes: int | None = VOLUMES, source: str = "knee", slices: int | None = SLICES
) -> Sequence[Slice]:
    """The slices that are ranked, drawn or read when they are asked for; source: a drawn one, a file or a folder."""
    return open_data(source, profile=profile, split="test", volumes=volumes, slices=slices)


def table(
    profile: Profile, volumes: int = VOLUMES, source: str = "knee", seed: int = 0, listed: str | Path = ""
) -> pd.DataFrame:
    """All whole slices, ranked here and now: one row of `row` each; of one anatomy, that of the first.

    listed: a CSV of files and slices (0-based) that are hard by somebody's account, such as fastMRI-A; these are then
    ranked, too, and told by a column `listed`. BadInput where the source has none of them.
    """
    slices = ranked(profile, volumes, source)
    places, named = list(range(len(slices))), []
    if listed:
        usual, slices, names = set(slices.places), _all_of(profile, source), _read(listed)
        named = [(path.stem, number) in names for path, number in slices.places]
        if not any(named):
            raise BadInput(f"{source} has none of the slices that {listed} names; give the folder that they are of")
        places = [place for place, there in enumerate(named) if there or slices.places[place] in usual]
    found, anatomy = [], None
    for place in tqdm(places, "slices to rank"):
        if not (item := slices[place]).whole:  # of no use under the masks that are drawn
            continue
        anatomy = anatomy or item.anatomy
        if item.anatomy == anatomy:
            found.append(row(slices, place, seed) | ({"listed": named[place]} if named else {}))
        else:
            say_once(f"{source} holds more than one anatomy; ranked are slices of the first, {anatomy}")
    return pd.DataFrame(found)


def slices_of(ranking: pd.DataFrame, profile: Profile, source: str = "knee") -> Sequence[Slice]:
    """The slices whose places a ranking names."""
    if "listed" in ranking:
        return _all_of(profile, source)
    # a reader's volumes without a reference have places, and no rows
    return ranked(profile, ranking["volume"].nunique() if source in DRAWN else None, source)


@torch.no_grad()
def row(slices: Sequence[Slice], place: int, seed: int = 0, device: str = "cpu") -> dict:
    """How hard the slice at a place is: scores of the ranking network, and the share of high frequencies.

    high: the share of the energy outside the center; high_clean: the same without the energy of the noise, as far as
    `noise_level` knows it, since a noisy reference has high frequencies, too, that are no anatomy.
    """
    item = slices[place].to(device)
    found = evaluate.measure(RANKED_BY, methods.load(RANKED_BY), item, evaluate.mask_of(item, seed=seed))
    return (
        {"place": place}
        | found
        | {"high": high_frequencies(item.kspace), "high_clean": high_frequencies(item.kspace, clean=True)}
    )


def high_frequencies(kspace: Tensor, clean: bool = False) -> float:
    """The share of the energy of a k-space (coil, ky, kx) that lies outside the center of its columns.

    clean: less the energy that noise has in each column.
    """
    width = kspace.shape[-1]
    center = (torch.arange(width, device=kspace.device) - width // 2).abs() <= CENTER * width / 2
    power = kspace.abs().square().sum((-3, -2)).double()
    if clean:
        whole = torch.ones(width, dtype=torch.bool, device=kspace.device)
        entries = recorded(kspace).sum((-3, -2))
        power = (power - 2 * noise_level(kspace, whole).double().square() * entries).clamp(min=0)
    return float(1 - power[center].sum() / power.sum())


def places(ranking: pd.DataFrame, hard: bool, count: int) -> list[int]:
    """The places of the slices of a side, one a volume: of the lowest `SHARE` the worst of each volume.

    ranking: rows of `row` with their `place` among the slices that were ranked. Volumes come in an order that is drawn
    once, so that the first few are as hard as all of them. Not hard: the slice next to the middle of each of the first
    volumes, whatever its rank. BadInput for an empty ranking.
    """
    if ranking.empty:
        raise BadInput("no slice with a reference was ranked, so that none is hard")
    if hard:
        worst = ranking[lowest(ranking)].sort_values(["ssim", "place"]).drop_duplicates("volume")
        ordered = worst.sort_values("place").sample(frac=1, random_state=0)
    else:
        off = (ranking["slice"] - ranking.groupby("volume")["slice"].transform("median")).abs()
        ordered = ranking[off == off.groupby(ranking["volume"]).transform("min")]
    return ordered.drop_duplicates("volume")["place"].head(count).astype(int).tolist()


def lowest(ranking: pd.DataFrame) -> pd.Series:
    """Of each ranked slice, whether it is hard: among the lowest `SHARE` by SSIM, or in a list where there was one."""
    if "listed" in ranking:
        return ranking["listed"].astype(bool)
    ordered = ranking.sort_values("ssim", kind="stable").index[: max(1, round(SHARE * len(ranking)))]
    return pd.Series(ranking.index.isin(ordered), ranking.index)


def _all_of(profile: Profile, source: str) -> Sequence[Slice]:
    return ranked(profile, None, source, None)


def _read(path: str | Path) -> set[tuple[str, int]]:
    """The files and slices that a CSV without a header names; BadInput where it is none."""
    try:
        rows = pd.read_csv(
            path, header=None, usecols=[0, 1], names=["file", "slice"], dtype={"file": str, "slice": int}
        )
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is no list of files and slices, one of each a line") from error
    return {(Path(file).stem, number) for file, number in rows.itertuples(index=False)}
