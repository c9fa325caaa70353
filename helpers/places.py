"""Where files lie: beside the package in a checkout, inside of it where it was installed from a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
CHECKOUT = (ROOT / "pyproject.toml").is_file() and (ROOT / "zoo").is_dir()

# what comes with the package: the folder of that name in a checkout; setup.py puts it here
SHIPPED = ROOT if CHECKOUT else PACKAGE / "shipped"
ZOO, RESULTS, BOOK = (SHIPPED / name for name in ("zoo", "results", "book"))
# what runs leave behind for later ones: checkpoints, and weights that were tuned on a reader's own scans
KEPT = ROOT / "_build" / "kept" if CHECKOUT else Path.home() / ".cache" / "robust-mri"
READERS = KEPT / "tuned.json"  # the latter, by file or folder
