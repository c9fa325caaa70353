"""What only a GPU can do here, in one command: placement of every method, training, batched un-trained fits, speed.

python scripts/gpu.py --wheels                   where packages can be fetched: those that a bare machine lacks
python scripts/gpu.py --minutes 9 --out OUT      there: all of it, in so many minutes

A bare machine has torch, numpy, scipy, h5py, pandas, matplotlib, seaborn, tqdm, safetensors and scikit-image; what else
is imported lies as wheels in wheels/. OUT gets at most 8 files: what was measured as CSV, how it went as run.json, and
zoo.zip, cards and weights of what was trained. A part that fails is told in run.json, and the others go on.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WHEELS = ROOT / "wheels"
MISSING = ("fastmri", "sigpy", "PyWavelets", "ismrmrd", "xsdata")
IMPORTED = {"PyWavelets": "pywt"}  # where the module bears another name
MAIN = ("varnet-knee", "varnet-brain", "unet-knee", "unet-brain")
SHARES = {"placement": 0.1, "training": 0.65, "fits": 0.15, "speed": 0.1}  # of the minutes
FITTED = 8  # slices in a batch of un-trained fits on a GPU


def fetch(python: str) -> int:
    """Fetch what a bare machine with that version of Python lacks, without the needs of it that lie there."""
    WHEELS.mkdir(exist_ok=True)
    platforms = [f"--platform=manylinux{kind}_x86_64" for kind in ("_2_28", "_2_17", "2014", "1")]
    lock = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text("utf8").split() if "==" in line)
    pinned = {name.lower(): version for name, version in lock.items()}
    wanted = [f"{name}=={pinned[name.lower()]}" if name.lower() in pinned else name for name in MISSING]
    words = ["download", "--no-deps", "--only-binary=:all:", f"--python-version={python}", "--implementation=cp"]
    return subprocess.run([sys.executable, "-m", "pip", *words, *platforms, "-d", str(WHEELS), *wanted]).returncode


def install() -> list[str]:
    """Install from the wheels what cannot be imported here; returns what that was."""
    lacking = [name for name in MISSING if not importlib.util.find_spec(IMPORTED.get(name, name.lower()))]
    if lacking:
        words = ["install", "-q", "--no-index", "--no-deps", "--no-compile", f"--find-links={WHEELS}"]
        target = WHEELS / "site"
        subprocess.run([sys.executable, "-m", "pip", *words, f"--target={target}", *lacking], check=True)
        sys.path.insert(0, str(target))
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(target)])  # of the processes that draw
    return lacking


def kept(rows: Iterable[dict], seconds: float, path: Path) -> list[dict]:
    """Rows as they come, in a table that is written after each, until the seconds are over."""
    import pandas as pd

    found, end = [], time.monotonic() + seconds
    for row in rows:
        found.append(row)
        pd.DataFrame(found).to_csv(path, index=False)
        if time.monotonic() > end:
            break
    return found


def placement(device: str, seconds: float, out: Path) -> dict:
    """Every method gives on the device what it gives on the processor, and how long it takes there: placement.csv."""
    from helpers.bench import devices

    rows = kept(devices.measure(device), seconds, out / "placement.csv")
    apart = [row["method"] for row in rows if row["apart"] > row["allowed"]]
    return {"methods": len(rows), "further apart than allowed": apart}


def training(device: str, seconds: float, out: Path) -> dict:
    """The four main networks, each from its weights in the zoo, for a quarter of the time: zoo.zip."""
    import torch

    from helpers.networks import zoo
    from helpers.training import recipes
    from helpers.training.loop import Training, train
    from helpers.training.run import Run

    folder, found, share = out / "zoo", {}, seconds / len(MAIN)
    workers = max(0, (os.cpu_count() or 1) - 1)
    how = {"device": device, "workers": workers, "volumes": 20 if seconds > 120 else 4}
    how |= {"precision": "bfloat16", "command": " ".join(["python", "scripts/gpu.py", *sys.argv[1:]])}
    for name in MAIN:
        folder.mkdir(parents=True, exist_ok=True)
        for kind in (".json", ".safetensors"):  # what it starts from
            (folder / f"{name}{kind}").write_bytes((zoo.ZOO / f"{name}{kind}").read_bytes())
        began = time.monotonic()
        recipe = replace(recipes.shipped()[name], blocks=16 if workers > 4 else 2)  # how long drawing takes at first
        run = Run(folder=folder, checkpoints=out / "checkpoints", start=name, **how)
        trial = Training(replace(recipe, steps=10**6), run, torch.device(device))
        for _ in range(3):  # kernels are chosen and the first subjects drawn
            trial.step()
        timed = time.monotonic()
        for _ in range(5):
            trial.step()
        rate = 5 / (time.monotonic() - timed)
        trial.stream.close()
        left = share - (time.monotonic() - began)
        steps = max(2, int(0.7 * left * rate))  # the rest is validation
        card = train(replace(recipe, steps=steps), replace(run, validate_every=max(1, steps // 4)))
        found[name] = {"steps": steps, "steps_per_second": round(rate, 2), "ssim": card["ssim"], "curve": card["curve"]}
        with zipfile.ZipFile(out / "zoo.zip", "w") as packed:
            for path in sorted(folder.glob("*.*")):
                packed.write(path, path.name)
    for path in sorted(out.rglob("*"), reverse=True):
        if path.parent.name in ("zoo", "checkpoints"):
            path.unlink()
    for name in ("zoo", "checkpoints"):
        if (out / name).is_dir():
            (out / name).rmdir()
    return found


def fits(device: str, seconds: float, out: Path) -> dict:
    """Un-trained fits of several slices side by side, and what a slice then costs: fits.csv."""
    import pandas as pd
    import torch

    from helpers.data.scanner import Synthetic
    from helpers.experiments import evaluate
    from helpers.methods import load
    from helpers.mri import metrics

    many = FITTED if device.startswith("cuda") else 2
    slices, rows, end = Synthetic("knee", volumes=many, slices=1), [], time.monotonic() + seconds
    items = [slices[index].to(device) for index in range(many)]
    mask = evaluate.mask_of(items[0])  # one for all: a batch has one mask
    for count in (1, many):
        batch = torch.stack([item.kspace * mask for item in items[:count]])
        for steps in (20, 600):
            # a fit that would not end in time is left out: `seconds` would cut it short and not say what it costs
            expected = 30 * rows[-1]["seconds"] if rows and steps > 20 else 0
            if time.monotonic() + expected > end:
                continue
            start = time.monotonic()
            images = load("convdecoder", steps=steps, at_once=count)(batch, mask)
            took = time.monotonic() - start
            scores = [metrics.scores(item.crop(image), item.target) for item, image in zip(items, images)]
            mean = sum(score["ssim"] for score in scores) / count
            rows.append({"at_once": count, "steps": steps, "seconds": took, "a_slice": took / count, "ssim": mean})
            pd.DataFrame(rows).to_csv(out / "fits.csv", index=False)
    return {"rows": len(rows)}


def speed(device: str, seconds: float, out: Path) -> dict:
    """A PGD step on VarNet beside fastMRI's modules: speed.csv."""
    from helpers.bench import devices

    return {"rows": len(kept(devices.beside_fastmri(device), seconds, out / "speed.csv"))}


PARTS: dict[str, Callable[[str, float, Path], dict]] = {
    "placement": placement,
    "training": training,
    "fits": fits,
    "speed": speed,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", metavar="PYTHON", nargs="?", const="3.12", help="fetch wheels (default: for 3.12)")
    parser.add_argument("--device", default="cuda", help="default: cuda")
    parser.add_argument("--minutes", type=float, default=9, help="for all parts together (default: 9)")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ROOT / "_build" / "gpu")))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    args = parser.parse_args()
    if args.wheels:
        return fetch(args.wheels)
    if not args.minutes > 0:
        print("gpu: --minutes must be more than 0", file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(ROOT))
    said: dict = {"installed": install()}

    import torch

    torch.set_num_threads(1)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"gpu: there is no device {args.device!r} here; --device cpu runs the same", file=sys.stderr)
        return 2
    said["device"] = torch.cuda.get_device_name(args.device) if args.device.startswith("cuda") else "cpu"
    said |= {"minutes": args.minutes, "torch": torch.__version__, "cores": os.cpu_count(), "parts": {}}
    whole = sum(SHARES[name] for name in args.parts)
    for name in args.parts:
        start = time.monotonic()
        print(f"gpu: {name}", file=sys.stderr, flush=True)
        try:
            found = PARTS[name](args.device, 60 * args.minutes * SHARES[name] / whole, args.out)
        except Exception:  # the machine is lent for minutes: what can run runs, and what cannot is told
            found = {"failed": traceback.format_exc()}
        said["parts"][name] = found | {"seconds": round(time.monotonic() - start, 1)}
        (args.out / "run.json").write_text(json.dumps(said, indent=2) + "\n", "utf8")
    failed = [name for name, found in said["parts"].items() if "failed" in found]
    print(json.dumps({"device": said["device"], "failed": failed, "out": str(args.out)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
