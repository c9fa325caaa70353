"""Long tables: rows that come from many pieces of work, several at a time, kept as they come, resumed after a kill."""

import errno
import json
import os
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from weakref import finalize

import pandas as pd
from tqdm import tqdm

from helpers.errors import BadInput, say_once
from helpers.experiments.workers import Workers
from helpers.files import claimed, written_aside
from helpers.mri import metrics

OF_A_SLICE = ["volume", "slice"]
WHERE = ("device", "threads", "commit", "processor", "versions")  # of a provenance: where and by what was measured
TEXT = ("volume", "identity", "run", "named", "method", "family", "variant", "made_for", "attacked", "label")
NUMBERS = ("slice", "seed", "lam", "eps", "snr", "psnr_zero_filled", "acceleration", "seconds")


class Table:
    """Rows that are kept as they come, in a CSV beside a .json that says where they come from; the one that is resumed.

    Rows are appended, each piece in one write, so that one more costs the same at any length; `finish` writes all anew.

    path: the CSV, None to keep nothing; keys: columns that name what was measured, "identity" for a slice (its name and
    number may be those of another file); made: number of rows to provenance; depends: all that rows depend on and the
    keys do not name, as plain values; methods: the same by method, for a table with a column `method` among its keys;
    numbers: columns that hold nothing else. BadInput for a table of something else, or whose rows depend on something
    else, or that another process goes on with; rows of methods that have changed since are forgotten, and so measured
    again.
    """

    def __init__(
        self,
        path: Path | None,
        keys: Sequence[str],
        made: Callable[[int], dict],
        depends: Mapping,
        methods: Mapping[str, Mapping] | None = None,
        numbers: Collection[str] = (*metrics.SCORES, *NUMBERS),
    ):
        self.path, self.keys, self.made = path, list(keys), made
        self._claimed = False
        if path is not None and path.parent.is_dir():
            self._claim()
        there = path is not None and path.is_file()
        needed = [*self.keys, *(OF_A_SLICE if "identity" in self.keys else [])]
        self._rows, self._added = read(path) if there else pd.DataFrame(columns=needed), []
        self._columns: list[str] | None = None  # of the file, where it holds what this table does
        if missing := [key for key in needed if key not in self.rows]:
            raise BadInput(
                f"{path} has no column {missing[0]}, so that it cannot be gone on with; give another --table"
            )
        self._check(needed, numbers)
        self._before = before = origin(path) if there else {}
        self._measured = False
        self._unfinished = there and before.get("n", 0) is None  # a run was killed
        self._earlier = [*before.get("earlier", []), *([before["command"]] if "command" in before else [])]
        self.depends, self.methods = plain(depends), plain(methods or {})
        if there:
            self._compare(before)
        self.methods = before.get("methods", {}) | self.methods
        self._slices: dict[tuple[str, int], str] = {}  # identity by volume and number
        if "identity" in self.keys:
            known = self.rows[[*OF_A_SLICE, "identity"]].drop_duplicates()
            self._slices = {(volume, number): identity for volume, number, identity in known.itertuples(index=False)}
        self._origins = {volume: _origin(identity) for (volume, _), identity in self._slices.items()}
        self.lost: list[str] = []  # why there is none, of every piece of work that failed

    def _claim(self) -> None:
        """Keep other processes from the table as long as this object lives: two would lose each other's rows."""
        try:
            finalize(self, claimed(self.path))
        except BlockingIOError:
            raise BadInput(f"another process goes on with {self.path}; wait for it, or give another --table") from None
        self._claimed = True

    def _check(self, needed: Sequence[str], numbers: Collection[str]) -> None:
        """BadInput for rows that do not say what they are, or that hold words where numbers belong."""
        for name in self.rows if len(self.rows) else ():
            column = self.rows[name]
            if name in needed and column.isna().any() or name in numbers and not pd.api.types.is_numeric_dtype(column):
                raise BadInput(
                    f"the column {name} of {self.path} is damaged, so that it is not gone on with; give another --table"
                )

    def _compare(self, before: Mapping) -> None:
        """Hold what the rows were made with against what further ones would be made with.

        What rows of a method depend on and further ones do not, as on a lambda for other data, stays.
        """
        theirs = before.get("depends")
        if not isinstance(theirs, dict):
            raise BadInput(f"nothing says what the rows of {self.path} depend on; give another --table")
        for key in dict.fromkeys([*self.depends, *theirs]):
            old, new = theirs.get(key), self.depends.get(key)
            if old != new:
                raise BadInput(f"{self.path} was measured with {key} {old!r}, not {new!r}; give another --table")
        known = before.get("methods", {})
        changed = {name for name, now in self.methods.items() if not _named_by(now, known.get(name, now))}
        stale = self.rows["method"].isin(changed | (self.methods.keys() - known.keys())) if self.methods else []
        if len(stale) and stale.any():
            names = ", ".join(sorted(set(self.rows.loc[stale, "method"])))
            words = f"{stale.sum()} rows of {names} in {self.path} are forgotten: what they depend on has changed"
            print(words, file=sys.stderr)
            self._rows = self.rows[~stale]
        self.methods = {
            name: now if name in changed else _joined(known.get(name, {}), now) for name, now in self.methods.items()
        }

    @property
    def rows(self) -> pd.DataFrame:
        """All rows."""
        if self._added:
            self._rows, self._added = pd.DataFrame([*self._rows.to_dict("records"), *self._added]), []
        return self._rows

    @property
    def have(self) -> set[tuple]:
        """The values of the keys of all rows."""
        return set(self.rows[self.keys].itertuples(index=False, name=None))

    def volume(self, volume: str, number: int, identity: str) -> str:
        """The name under which the volume of a slice stands here: its own, or, where that is another's, a longer one.

        BadInput where the table has another slice of that number of the same volume.
        """
        own, longer = _origin(identity), f"{volume}-{_origin(identity)}"
        name = volume if self._origins.setdefault(volume, own) == own else longer
        if self._slices.setdefault((name, number), identity) != identity:
            raise BadInput(
                f"slice {number} of {volume} is another one than that in {self.path}: the file has changed, or another"
                " number of slices was drawn; give another --table"
            )
        return name

    def of(self, identities: Collection[str]) -> pd.DataFrame:
        """The rows of these slices alone; where others, which are not among them, have the name of theirs, is said."""
        here = self.rows["identity"].isin(identities)
        rows, others = self.rows[here], set(self.rows.loc[~here, "volume"]) - set(self.rows.loc[here, "volume"])
        for volume, identity in rows.drop_duplicates("volume")[["volume", "identity"]].itertuples(index=False):
            if (name := volume.removesuffix(f"-{_origin(identity)}")) in others:
                say_once(f"{self.path} keeps rows of another {name}, not counted here; a new --table is without them")
        return rows

    def place(self, key: Sequence) -> str:
        """Volume and slice of what a key names, in words; empty where it names none."""
        known = {identity: f"{volume}, slice {number}: " for (volume, number), identity in self._slices.items()}
        return next((known[each] for each in key if each in known), "")

    def drop(self, stale: pd.Series) -> None:
        """Forget rows, which are measured again; the file changes with the next row that is kept."""
        if stale.any():
            self._rows, self._columns = self.rows[~stale.astype(bool)], None

    def add(self, rows: Iterable[Mapping]) -> None:
        """Keep further rows, which belong together."""
        rows = list(rows)
        if "identity" in self.keys:
            rows = [row | {"volume": self.volume(row["volume"], row["slice"], row["identity"])} for row in rows]
        self._added += rows
        self._measured = True
        if not self.path:
            return
        if self._columns is None or any(row.keys() - set(self._columns) for row in rows):
            self.keep(finished=False)
        else:
            append(pd.DataFrame(rows, columns=self._columns), self.path, self.keys)

    def finish(self, ordered: bool = False) -> None:
        """No rows are to follow: if any were, write the table anew, in the order of its keys if so ordered."""
        if ordered:
            order = [key for key in self.keys if key != "identity"]
            order += OF_A_SLICE if "identity" in self.keys else []
            self._rows = self.rows.sort_values(order, kind="stable")
        if self._columns is not None or self._unfinished:
            self.keep()

    def made_by(self, keys: Collection[tuple]) -> None:
        """Forget earlier commands where this one, which is to measure these keys, makes all rows, whoever began it."""
        if self.have <= set(keys):
            self._earlier = []

    def keep(self, finished: bool = True) -> None:
        """Write the table anew, if there is a file to write it to.

        finished: no rows are to follow; until then the .json does not say how many there are. It names the command and,
        where others have measured a part of the rows, those, too, as `earlier`; the machine is that of the last which
        measured any.
        """
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._claimed:
                self._claim()
            made = self.made(len(self.rows)) | ({} if finished else {"n": None}) | {"depends": self.depends}
            if not self._measured:  # here and now
                made |= {key: self._before[key] for key in WHERE if key in self._before}
            if earlier := [each for each in self._earlier if each != made.get("command")]:
                made["earlier"] = earlier
            keep(self.rows, self.path, made | ({"methods": self.methods} if self.methods else {}), self.keys)
            self._columns = list(self.rows)


def measured(
    table: Table,
    work: Iterable[tuple[tuple, tuple]],
    function: Callable[[tuple], list[dict]],
    workers: Workers,
) -> pd.DataFrame:
    """The rows of all pieces of work, sorted by their keys; those that the table has already are not measured again.

    work: (key, arguments), key the values of the keys of the table; function: arguments to rows. A piece on which it
    raises BadInput is lost, as is said at the end, and the rest goes on; raised is the first where all are, or that
    there are no rows. Of slices, the rows are of those in the work, whatever others the table has.
    """
    have, work = table.have, list(work)
    table.made_by([key for key, _ in work])
    left = {key: arguments for key, arguments in work if key not in have}
    if left:
        for key, (rows, wrong) in tqdm(
            workers.results(partial(_kept, function), left.items()), "pieces of work", len(left)
        ):
            if wrong:
                table.lost.append(f"{table.place(key)}{wrong}")
            else:
                table.add(rows)
    table.finish(ordered=True)
    if table.lost:
        if len(table.lost) == len(work):
            raise BadInput(table.lost[0])
        words = f"{len(table.lost)} of {len(work)} pieces of work are lost; the first: {table.lost[0]}"
        print(words, file=sys.stderr)
    if have == {key for key, _ in work}:  # this command makes it, whoever began it
        table.keep()
    if work and not len(table.rows):
        raise BadInput("nothing of what was asked for can be measured on these slices")
    if "identity" not in table.keys:
        return table.rows.reset_index(drop=True)
    place = table.keys.index("identity")
    return table.of({key[place] for key, _ in work}).reset_index(drop=True)


def _kept(function: Callable[[tuple], list[dict]], arguments: tuple) -> tuple[list[dict], str]:
    """The rows of a piece of work, or the sentence why there are none."""
    try:
        return function(arguments), ""
    except BadInput as error:
        return [], str(error) or type(error).__name__


def origin(path: Path | None) -> dict:
    """Where a table comes from, as `keep` wrote it; empty where nothing says so. BadInput where that is unreadable."""
    if path is None or not path.is_file() or not path.with_suffix(".json").is_file():
        return {}
    beside = path.with_suffix(".json")
    try:
        made = json.loads(beside.read_text("utf8"))
    except (ValueError, RecursionError):
        made = None
    if not isinstance(made, dict) or not isinstance(made.get("methods", {}), dict):
        raise BadInput(f"{beside} does not say where {path} comes from; give another --table")
    return made


def read(path: Path) -> pd.DataFrame:
    """A tidy table as `keep` wrote it; names and levels of factors are text, also where they look like numbers.

    A last line without an end is not whole, as where the power failed, and is left out.

    BadInput for a file that is no table.
    """
    try:
        # only what is empty is missing: a volume may be called NA
        text = dict.fromkeys(TEXT, str)
        whole, end, _ = path.read_bytes().rpartition(b"\n")
        if b"factor" in whole.partition(b"\n")[0].split(b","):
            text["level"] = str  # of a factor, in words
        return pd.read_csv(BytesIO(whole + end), dtype=text, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise BadInput(f"{path} is no table, so that it cannot be gone on with; give another --table") from error


def _named_by(now: object, before: object) -> bool:
    """Whether all that is named now was the same before, where more may have been named."""
    if isinstance(now, dict) and isinstance(before, dict):
        return all(key in before and _named_by(value, before[key]) for key, value in now.items())
    return now == before


def _joined(before: Mapping, now: Mapping) -> dict:
    """All that is named before or now, which agree."""
    both = {key: _joined(before[key], now[key]) for key in before if isinstance(before[key], dict) and key in now}
    return {**before, **now, **both}


def _origin(identity: str) -> str:
    """The part of a slice's identity that is its volume's."""
    return identity.partition("-")[0]


def plain(values: Mapping) -> dict:
    """Values as JSON gives them back, to be compared with what was stored."""
    return json.loads(json.dumps(values))


def keep(rows: pd.DataFrame, path: Path, made: dict, keys: Sequence[str] = ()) -> None:
    """Write a table as CSV and, beside it as .json, where it comes from (see `provenance`); never half of it.

    keys: columns of which every digit stays, as of strengths, by which rows are found again; of other numbers six do.
    """
    whence, text = path.with_suffix(".json"), _as_text(rows, keys)
    said = json.dumps(made | {"table": path.name}, indent=2) + "\n"
    # of rows alone nobody would know what they are; but old rows must not stand beside what is said of new ones
    first = {path: text, whence: said} if path.is_file() else {whence: said, path: text}
    for each, content in first.items():
        with written_aside(each) as part:
            part.write_text(content, "utf8")


def append(rows: pd.DataFrame, path: Path, keys: Sequence[str] = ()) -> None:
    """Add rows to the end of a table that `keep` wrote, in one write: all of them or none."""
    text = _as_text(rows, keys, header=False).encode()
    with path.open("ab", buffering=0) as file:
        end = file.tell()
        try:
            if file.write(text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            file.truncate(end)
            raise


def _as_text(rows: pd.DataFrame, keys: Sequence[str], header: bool = True) -> str:
    exact = [key for key in dict.fromkeys([*keys, "eps"]) if key in rows and pd.api.types.is_float_dtype(rows[key])]
    whole = {key: rows[key].map(repr) for key in exact}
    return rows.assign(**whole).to_csv(index=False, float_format="%.6g", header=header)
