"""Render the book: execute the chapters that are not fresh, then build the pages with warnings as errors.

python scripts/book.py                    the book, in _build/html
python scripts/book.py --data FOLDER      the same chapters on other data, in _build/NAME/html
python scripts/book.py --profile smoke    the same chapters in another size, in _build/smoke/html
"""

import argparse
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path

import yaml
from execute import ROOT, chapters, run_all

from helpers.errors import BadInput
from helpers.profiles import profile


def chosen_parameters(data: str | None, profile_name: str | None) -> dict[str, str]:
    """What a reader asked for, checked: the parameters to put into every chapter that has them."""
    parameters = {}
    if profile_name:
        parameters["profile"] = profile(profile_name).name
    if data:
        path = Path(data).expanduser().resolve()
        if not path.exists():
            raise BadInput(f"there is no file or folder {data}; DATA is the path of a volume or of a folder of volumes")
        parameters["data"] = str(path)
    return parameters


def build_folder(parameters: dict[str, str]) -> Path:
    """A folder for each set of parameters, so that going back to one costs nothing."""
    names = [parameters["profile"]] if "profile" in parameters else []
    if "data" in parameters:
        digest = hashlib.sha256(parameters["data"].encode()).hexdigest()[:4]
        names.append(f"{Path(parameters['data']).stem}-{digest}")
    return ROOT.joinpath("_build", *(["-".join(names)] if names else []))


def build_site(folder: Path, shows_parameters: bool, everything: bool) -> bool:
    """Build folder/html from folder/executed; True if Sphinx had nothing to complain about."""
    from jupyter_book.sphinx import build_sphinx  # imported here: a failed run need not wait for it

    site, doctrees = folder / "html", folder / ".doctrees"
    if everything:
        shutil.rmtree(site, ignore_errors=True)
        shutil.rmtree(doctrees, ignore_errors=True)
    status = build_sphinx(
        ROOT,
        site,
        noconfig=True,
        path_config=ROOT / "_config.yml",
        doctreedir=doctrees,
        confoverrides={
            "external_toc_path": str(ROOT / "_toc.yml"),
            "latex_individualpages": False,
            "nitpicky": True,
            "executed_dir": str(folder / "executed"),
            "executed_parameters": shows_parameters,
        },
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )
    if status != 0:
        shutil.rmtree(doctrees, ignore_errors=True)  # or the next build would not judge these pages again
    return status == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="file or folder of volumes to put in place of the synthetic ones")
    parser.add_argument("--profile", help="size of the run: smoke, laptop or paper")
    parser.add_argument("--all", action="store_true", help="build every page anew, so that every page is judged")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, help="chapters to execute at a time")
    options = parser.parse_args()
    try:
        parameters = chosen_parameters(options.data, options.profile)
    except BadInput as error:
        print(f"book: {error}", file=sys.stderr)
        return 2
    folder, start = build_folder(parameters), time.monotonic()
    names = list(chapters(yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))))
    failed = 0
    for run in run_all(names, folder, parameters, max(1, options.jobs)):
        print(f"{run.chapter:30} {run.state:8} {run.seconds:6.1f} s  {run.note}".rstrip(), flush=True)
        failed += run.state == "FAILED"
    if failed:
        print(f"book: {failed} of {len(names)} chapters failed, so no page was built", file=sys.stderr)
        return 1
    executed = time.monotonic()
    if not build_site(folder, bool(parameters), options.all):
        print("book: the pages have the warnings above, and a book with warnings is not finished", file=sys.stderr)
        return 1
    built = time.monotonic()
    print(f"executed in {executed - start:.1f} s, pages built in {built - executed:.1f} s; open in a browser:")
    print(folder / "html" / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
