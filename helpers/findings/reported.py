"""What a report says of one method: its tables, beside them the shipped methods on the same slices, and its card."""

import json
import shlex
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from helpers.attacks.known import STEPS
from helpers.experiments import tables as long_tables
from helpers.experiments.report import LEFT_OUT, PEERS
from helpers.files import written_aside
from helpers.findings import audit, cards, quality, shipped, transfer
from helpers.findings.cards import CARD, DRAWN, NEEDED
from helpers.findings.verdicts import Claim
from helpers.mri import metrics
from helpers.places import RESULTS

MARK, PAGE = "report.json", "report.html"  # what a folder is of, from the beginning on; what is read
EXAMPLE = RESULTS / "report"  # what the first example of chapter own_method gives, --quick
AUDIT = "audit"
# what rows of one measurement have in common: slices by identity, since "slice 1" is another of two than of one
SAME = ("identity", "volume", "slice", "box", "source", "protocol", "shift", "side", "factor")
STRENGTH = {"transfer": ("eps",)}  # where that is what was asked for; of what hides a finding it is what was found
BESIDE = {  # in which column of a table methods stand
    "quality": "method",
    "factors": "method",
    "transfer": "method",
    "shifts": "family",
    "features": "family",
    "hidden": "made_for",
}


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of a report by name: those that are there."""
    paths = {name: folder / f"{name}.csv" for name in (*NEEDED, AUDIT)}
    return {name: long_tables.read(path) for name, path in paths.items() if path.is_file()}


def known() -> dict[str, pd.DataFrame]:
    """The same tables of the shipped methods, networks by their architecture."""
    found = {name: shipped.table(name) for name in NEEDED}
    seconds = {cards.SPEED: quality.matched(shipped.table(cards.SPEED))}
    return found | {"quality": quality.matched(quality.held_out())} | seconds


def shipped_cards() -> dict[str, dict]:
    """The numbers of the cards of the methods of this package, by name."""
    tables = known()
    names = dict.fromkeys([*tables["quality"]["method"], *tables["shifts"]["family"]])
    return {name: cards.numbers(tables, name) for name in names}


def shipped_trusted(eps: float = cards.EPS, score: str = "ssim") -> set[str]:
    """The methods of this package whose loss to attacks may be ranked: those on which the audit carries the attack."""
    return audit.trusted(audit.shares(shipped.table(AUDIT)), eps, score)


def write_card(card: dict, folder: Path) -> None:
    """Check a card and write it into the folder of its report."""
    cards.check(card, CARD)
    with written_aside(folder / CARD) as part:
        part.write_text(json.dumps(card, indent=2, allow_nan=False) + "\n", "utf8")


@dataclass(frozen=True)
class Report:
    """A folder that `python -m helpers report` has made; shipped: whether it came with this package."""

    folder: Path
    shipped: bool = False

    @classmethod
    def of(cls, folder: str) -> "Report":
        """That of a folder; "" for the one that came with this package."""
        return cls(Path(folder)) if folder else cls(EXAMPLE, shipped=True)

    @cached_property
    def card(self) -> dict:
        return cards.read(self.folder / CARD)

    @property
    def name(self) -> str:
        """Of the method."""
        return self.card["method"]

    @property
    def known(self) -> bool:
        """Whether the methods of this package were measured on the same slices, under the same masks."""
        return cards.comparable(self.card)

    @property
    def peers(self) -> list[str]:
        """The methods that it is judged against."""
        return [name for name in PEERS if name != self.name and name in set(self.table("quality")["method"])]

    def others(self) -> dict[str, dict]:
        """The numbers of cards of the methods beside it, on the same slices: by name, those that are called so."""
        same = {name: self.table(name) for name in NEEDED}
        same |= {cards.SPEED: self.theirs[cards.SPEED]} if self.known else {}
        return {name: cards.numbers(same, name) for name in self.peers}

    def shifts(self) -> list[tuple[str, str]]:
        """The shifts that were measured on both sides, with the domain on which the method was where it was made."""
        rows, found = self.own.get("shifts", pd.DataFrame(columns=["shift", "domain", "side"])), {}
        for (shift, domain), group in rows.groupby(["shift", "domain"], sort=False):
            if {"in", "out"} <= set(group["side"]):
                found[shift] = max(domain, found.get(shift, ""))  # knee, brain
        return list(found.items())

    def summary(self) -> str:
        """What was measured, how, and what was lost of it, in words."""
        card, made = self.card, self.card["made_by"]
        attacked = "by gradients" if card["gradient"] else "without gradients, since it passes none"
        words = f"**{self.name}**, measured on {'drawn slices' if card['data'] == DRAWN else card['data']}"
        words += f" ({card['size']}, n = {made['n']} rows), takes {card['seconds']:.2g} s an image on one thread"
        words += f" and {card['memory']:.0f} MB of memory" if card["memory"] else ""
        short = f", with {self.steps} of the usual {STEPS} steps: no number to rank it by" if self.short else ""
        words += f", and was attacked {attacked}{short}. {card['about']}"
        lost = "".join(f"\n- *{part}*: {sentence}" for part, sentence in card["lost"].items())
        begun = set(self.own["shifts"]["shift"]) if "shifts" in self.own else set()
        for shift in sorted(begun - dict(self.shifts()).keys()):
            lost += f"\n- *shift {shift}*: one side alone was measured"
        made_by = f"Made by `{made['command']}`, version {made['versions']['helpers']}, seed {made['seed']}."
        return f"{words}\n\n{made_by}" + (f"\n\nLost:\n{lost}" if lost else "")

    @property
    def steps(self) -> int:
        """Of the attack on it, by the command that made its table."""
        made = self.folder / "transfer.json"
        words = shlex.split(json.loads(made.read_text("utf8"))["command"]) if made.is_file() else []
        return int(words[words.index("--steps") + 1]) if "--steps" in words else STEPS

    @property
    def short(self) -> bool:
        """Whether the attack on it had fewer steps than those on the methods of this package."""
        return self.steps < STEPS

    def measures(self, name: str) -> dict[str, dict]:
        """What its card says of its method: the numbers of its tables, but none of a short attack."""
        found = cards.numbers(self.own, name)
        return {key: number for key, number in found.items() if not (key == "attack" and self.short)}

    def missing(self, part: str) -> str:
        """Why a part was not measured."""
        cut = self.card["size"] == "quick" and part in LEFT_OUT
        left_out = "a quick report has no time for it" if cut else "nothing was found to measure"
        if part in ("features", "hidden") and "features" not in self.own:
            left_out = f"no findings are marked in {self.card['data']}"
        return self.card["lost"].get(part, left_out)

    @cached_property
    def theirs(self) -> dict[str, pd.DataFrame]:
        return known()

    @cached_property
    def own(self) -> dict[str, pd.DataFrame]:
        return tables(self.folder)

    def trusted(self, eps: float, score: str) -> set[str]:
        """Of its method and those beside it, the ones on which an audit carries the attack of a strength."""
        own = audit.trusted(audit.shares(self.own[AUDIT]), eps, score) if AUDIT in self.own else set()
        beside = shipped_trusted(eps, score) if self.known else set()
        return own | beside - {self.name}

    def table(self, name: str) -> pd.DataFrame:
        """A table of the report, and after it what is known of shipped methods on the same slices.

        Empty where nothing was measured.
        """
        own = self.own.get(name, pd.DataFrame())
        if not self.known or name not in BESIDE or not len(own):
            return own
        theirs, column = self.theirs[name], BESIDE[name]
        keys = [key for key in (*SAME, *STRENGTH.get(name, ())) if key in own and key in theirs]
        same = theirs.merge(own[keys].drop_duplicates(), on=keys)
        return pd.concat([own, same[~same[column].isin(own[column])]], ignore_index=True)


def lost_to_worst(table: pd.DataFrame, score: str = "ssim") -> pd.DataFrame:
    """What the worst that was tried on each method takes off a score: a row a method, strength and slice, `lost`.

    table: of `transfer.rows`, of which methods count that have an attack of their own.
    """
    wide = transfer.losses(table[table["protocol"] == "corrected"], score)
    attacked = [name for name in dict.fromkeys(table["method"]) if (name, name) in wide]
    lost = wide[transfer.WORST][attacked].rename_axis("method", axis=1)
    lost = lost.stack().dropna().rename("lost").reset_index()
    return lost.assign(strength="eps " + lost["eps"].map("{:g}".format))


def more_robust(report: Report, score: str = "ssim") -> pd.DataFrame:
    """Whether the method of a report loses less than each other one to the worst that is known of each.

    A row a pair, a column a strength, all judged together. As in `transfer.judged` none is ahead by an attack that the
    audit does not carry.
    """
    table, name = report.table("transfer"), report.name
    wide = transfer.losses(table[table["protocol"] == "corrected"], score)
    groups = dict(list(wide.groupby(level="eps")))
    claims = [
        Claim(f"{name} loses less than {other}", (transfer.WORST, other), (transfer.WORST, name), ranking=True)
        for other in dict.fromkeys(table["method"])
        if other != name and (other, other) in wide
    ]
    strong = {eps: transfer.carried(group, report.trusted(eps, score)) for eps, group in groups.items()}
    found = transfer.together(groups, claims, strong).rename_axis(f"claim, in {metrics.SCORES[score]}")
    return found.rename(columns="eps {:g}".format)
