"""Naturally hard images (fastMRI-A): five slices of every volume, ranked by a network that is not under study."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from helpers import methods
from helpers.data import open_data
from helpers.data.slice import Slice
from helpers.errors import BadInput
from helpers.experiments import evaluate
from helpers.mri.noise import noise_level, recorded
from helpers.profiles import Profile

RANKED_BY = "irim-knee"  # none of the methods whose robustness is asked for
VOLUMES, SLICES = 199, 5  # as many as fastMRI's validation set has of knees, and as the paper takes of each
SHARE = 0.1  # the lowest
CENTER = 0.07  # share of the columns that hold low frequencies: the center of the notebooks' masks
KEYS = ["place"]


def ranked(profile: Profile, volumes: int = VOLUMES, source: str = "knee") -> Sequence[Slice]:
    """The slices that are ranked, drawn or read when they are asked for; source: a drawn one, a file or a folder."""
    return open_data(source, profile=profile, split="test", volumes=volumes, slices=SLICES)


def table(profile: Profile, volumes: int = VOLUMES, source: str = "knee", seed: int = 0) -> pd.DataFrame:
    """All that have a reference, ranked here and now: one row of `row` each."""
    slices = ranked(profile, volumes, source)
    places = [place for place in range(len(slices)) if slices[place].target is not None]
    return pd.DataFrame([row(slices, place, seed) for place in tqdm(places, "slices to rank")])


@torch.no_grad()
def row(slices: Sequence[Slice], place: int, seed: int = 0) -> dict:
    """How hard the slice at a place is: scores of the ranking network, and the share of high frequencies.

    high: the share of the energy outside the center; high_clean: the same without the energy of the noise, as far as
    `noise_level` knows it, since a noisy reference has high frequencies, too, that are no anatomy.
    """
    item = slices[place]
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
    """The places of the slices of a side, one a volume: of the lowest `SHARE` the worst of each volume, worst first.

    ranking: rows of `row` with their `place` among the slices that were ranked; not hard: the middle slice of each of
    the first volumes, whatever its rank. BadInput for an empty ranking.
    """
    if ranking.empty:
        raise BadInput("no slice with a reference was ranked, so that none is hard")
    if hard:
        ordered = ranking.sort_values("ssim", kind="stable").head(max(1, round(SHARE * len(ranking))))
    else:
        ordered = ranking[ranking.groupby("volume")["slice"].transform("median") == ranking["slice"]]
    return ordered.drop_duplicates("volume")["place"].head(count).astype(int).tolist()
