"""Train networks, or go on where their trainings stopped.

NAME is a recipe of zoo/recipes.toml, or a name of your own with --architecture. Card and weights are written to the
zoo at every validation, checkpoints and a CSV log to _build/kept/training every two minutes; a run that is killed goes
on there when it is started again; without its checkpoint --from zoo goes on with the weights that are shipped. Several
names, or --all, are trained one after the other, --jobs of them at a time.
Under torchrun several GPUs share a training. Examples:
  python -m helpers train unet-knee --from zoo --steps 40000 --hours 2
  python -m helpers train --all --from zoo --jobs 2
  python -m helpers train mine --architecture '{"network": "unet", "channels": 32}' --data FOLDER --profile paper
"""

import argparse
import dataclasses
import json
import math
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import torch

from helpers.commands import _outputs, show
from helpers.commands._inputs import COUNT, INDEX, SEED, positive, usable
from helpers.data import open_data
from helpers.errors import BadInput
from helpers.methods import REGISTRY
from helpers.networks import NETWORKS, zoo
from helpers.training import before_restart, recipes
from helpers.training.card import in_restart
from helpers.training.loop import train
from helpers.training.recipes import LOSSES, Recipe
from helpers.training.run import CHECKPOINTS, Run, checkpoint_of

SETTINGS = ("architecture", "data", "profile", "steps", "batch", "loss", "learning_rate", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes, or a name of your own")
    parser.add_argument("--all", action="store_true", help="every recipe of the zoo")
    parser.add_argument("--jobs", type=COUNT, default=1, help="trainings at a time, of several names (default: 1)")
    recipe = parser.add_argument_group("what is trained (default: as in the recipe)")
    recipe.add_argument("--architecture", type=architecture, metavar="JSON", help='such as {"network": "unet"}')
    recipe.add_argument("--data", nargs="+", help="knee, brain, stanford, several of them, or a folder")
    recipe.add_argument("--profile", help="size of drawn slices: smoke, laptop or paper")
    recipe.add_argument("--steps", type=COUNT, help="planned steps, to which the learning rate is tied")
    recipe.add_argument("--batch", type=COUNT, help="slices a step and process")
    recipe.add_argument("--loss", choices=LOSSES)
    recipe.add_argument("--learning-rate", type=positive)
    recipe.add_argument("--seed", type=SEED)
    how = parser.add_argument_group("how")
    how.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    how.add_argument("--precision", choices=("float32", "bfloat16"), help="default: bfloat16 on cuda, else float32")
    how.add_argument("--threads", type=COUNT, default=1, help="threads of each training (default: 1)")
    how.add_argument(
        "--workers", type=INDEX, default=0, help="processes that draw ahead (default: 0, drawn in between)"
    )
    how.add_argument("--hours", type=float, default=math.inf, help="stop cleanly after so many, to go on later")
    how.add_argument("--validate-every", type=COUNT, default=500, metavar="STEPS", help="(default: 500)")
    how.add_argument("--save-every", type=float, default=120, metavar="SECONDS", help="(default: 120)")
    how.add_argument("--volumes", type=COUNT, default=20, help="validation volumes (default: 20)")
    how.add_argument("--also", metavar="PATH", help="score these data, too, at every validation; nothing depends on it")
    how.add_argument("--fresh", action="store_true", help="begin anew where there is a checkpoint")
    how.add_argument(
        "--from",
        dest="start",
        metavar="NAME",
        help="weights to start from where there is no checkpoint: a network of the zoo, as it is or widened, or `zoo`"
        " to go on with its own",
    )
    how.add_argument(
        "--restart",
        action="store_true",
        help="go on with the network of the zoo at the full learning rate for a quarter of its steps more: whether it"
        " had reached its plateau is the card's `restart_gain`",
    )
    how.add_argument("--out", type=Path, default=zoo.ZOO, help="folder of cards and weights (default: zoo)")
    how.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="(default: _build/kept/training)")
    how.add_argument("--json", action="store_true", help="print one JSON object a network")


def architecture(text: str) -> dict:
    """The type of an option that takes the description of a network."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f'must be a JSON object such as {{"network": "unet"}}, not {text[:40]!r}')
    return found


def run(args: argparse.Namespace) -> int:
    if args.volumes < 2:
        raise BadInput("--volumes must be at least 2")
    if not 0 <= args.save_every < math.inf:
        raise BadInput(f"--save-every must be 0 seconds or more, not {args.save_every:g}")
    if not args.hours > 0:
        raise BadInput(f"--hours must be more than 0, not {args.hours:g}")
    names = list(dict.fromkeys([*args.names, *(recipes.shipped() if args.all else ())]))
    if not names:
        raise BadInput("name a network to train, or give --all; python -m helpers train -h lists the options")
    if taken := [name for name in names if name in REGISTRY or name in NETWORKS]:
        raise BadInput(f"{taken[0]} is the name of a method; give the network another one")
    usable(args.device)
    _outputs.writable("--out", args.out / "card.json")
    _outputs.writable("--checkpoints", args.checkpoints / "checkpoint.pt")
    if args.also:
        open_data(args.also)  # a wrong path is said now, not at the first validation
    if args.restart and (args.fresh or args.start not in (None, "zoo") or args.steps):
        raise BadInput("--restart goes on with a network of the zoo; give no --fresh, --from or --steps with it")
    chosen = [recipe_of(name, args) for name in names]
    if len(chosen) > 1:
        return queue(names, args)
    torch.set_num_threads(args.threads)
    card = trained(chosen[0], args)
    if card:
        keys = ("name", "method", "anatomy", "parameters", "steps", "hours", "ssim", "restart_gain")
        show([{key: card.get(key) for key in keys}], args.json)
    return 0


def recipe_of(name: str, args: argparse.Namespace) -> Recipe:
    """The recipe of that name with what the arguments change, or a new one."""
    given = {key: getattr(args, key) for key in SETTINGS if getattr(args, key) is not None}
    if "data" in given:
        given["data"] = tuple(given["data"])
    known = recipes.shipped()
    if args.restart:  # a restart that was killed has written steps of its own to the card: it goes on to the same end
        card = zoo.card(name, args.out)
        given["steps"] = card["planned_steps"] if in_restart(card) else card["steps"] + card["steps"] // 4
    if name in known:
        return dataclasses.replace(known[name], **given)
    if "architecture" not in given:
        raise BadInput(f"there is no recipe {name!r}; give --architecture, or choose one of {', '.join(known)}")
    return Recipe(name, **given)


def trained(recipe: Recipe, args: argparse.Namespace) -> dict:
    """The card of a network when its training has ended, or had ended before."""
    checkpoint = checkpoint_of(recipe, args.checkpoints, args.restart)
    path = args.out / f"{recipe.name}.safetensors"
    if recipe.name in zoo.names(args.out):
        zoo.card(recipe.name, args.out)  # a file of that name that is none is somebody's, and not written over
    elif path.exists():
        raise BadInput(f"{path} is there without a card, so that it is not of this command; choose another --out")
    if not args.fresh and not checkpoint.is_file() and recipe.name in zoo.names(args.out):
        card, mine = zoo.card(recipe.name, args.out), recipe.plain()
        if card["steps"] >= recipe.steps and card["architecture"] == mine["architecture"]:
            given = [key for key in SETTINGS if key != "steps" and getattr(args, key) is not None]
            if other := [key for key in given if card.get(key, mine[key]) != mine[key]]:
                words = f"{recipe.name} was trained with {other[0]} {card[other[0]]!r}, not {mine[other[0]]!r}"
                raise BadInput(f"{words}; give the network another name, or --fresh to train it anew")
            print(f"{recipe.name} is trained: {card['steps']} steps; --fresh trains it anew", file=sys.stderr)
            return card
        if args.start is None and not args.restart:
            raise BadInput(
                f"{recipe.name} is in the zoo after {card['steps']} steps, without its checkpoint here;"
                " give --from zoo to go on with its weights, or --fresh to train it anew"
            )
    own = (args.start == "zoo" or args.restart) and not args.fresh and recipe.name in zoo.names(args.out)
    options = Run(
        folder=args.out,
        checkpoints=args.checkpoints,
        device=args.device,
        precision=args.precision or ("bfloat16" if args.device.startswith("cuda") else "float32"),
        workers=args.workers,
        hours=args.hours,
        validate_every=args.validate_every,
        save_every=args.save_every,
        volumes=args.volumes,
        command=shlex.join(["python", "-m", "helpers", *sys.argv[1:]]),
        fresh=args.fresh,
        also=args.also,
        start=recipe.name if own else None if args.start == "zoo" else args.start,
        go_on=own,
        at_full_rate=args.restart,
    )
    if not args.restart:
        return train(recipe, options)
    before = zoo.card(recipe.name, args.out)
    if before_restart.undecided(before, args.checkpoints):
        card = before
    else:
        if not in_restart(before):
            before_restart.keep(recipe.name, args.out, args.checkpoints)
        card = train(recipe, options)
    if in_restart(card):
        return card
    checkpoint.unlink(missing_ok=True)  # else the next restart of a network that has lost would be this one again
    return before_restart.better(card, args.out, args.checkpoints)


def queue(names: list[str], args: argparse.Namespace) -> int:
    """Each network in a process of its own, so many at a time; exit code 2 where one fails, the others still run."""
    waiting, running, failed = list(names), {}, []
    deadline = time.monotonic() + 3600 * args.hours
    try:
        while waiting or running:
            while waiting and len(running) < args.jobs and time.monotonic() < deadline:
                name = waiting.pop(0)
                running[name] = started(name, args, (deadline - time.monotonic()) / 3600)
                print(f"{name}: begun", file=sys.stderr)
            if not running:
                break
            time.sleep(0.2)
            for name, process in list(running.items()):
                if process.poll() is not None:
                    del running[name]
                    failed += [name] if process.returncode else []
                    log = args.checkpoints / f"{name}.log"
                    last = (log.read_text("utf8").replace("\r", "\n").strip() or "-").splitlines()[-1]
                    print(f"{name}: {'FAILED, ' + last if process.returncode else 'done'}", file=sys.stderr)
    finally:
        for process in running.values():
            process.terminate()
    written = [zoo.card(name, args.out) for name in names if name in zoo.names(args.out)]
    show(
        ({key: card.get(key) for key in ("name", "steps", "hours", "ssim", "restart_gain")} for card in written),
        args.json,
    )
    return 2 if failed else 0


def started(name: str, args: argparse.Namespace, hours: float) -> subprocess.Popen:
    """A process that trains one network of a queue; what it says goes to NAME.log beside its checkpoint."""
    args.checkpoints.mkdir(parents=True, exist_ok=True)
    words = [word for word in options_of(args) if word]
    limit = [] if math.isinf(hours) else ["--hours", f"{hours:.4f}"]
    command = [sys.executable, "-m", "helpers", "train", name, *words, *limit]
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
    with (args.checkpoints / f"{name}.log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def options_of(args: argparse.Namespace) -> list[str]:
    """The arguments of a queue as those of one of its trainings: those that were given, for they stand on its card."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = []
    for key, value in vars(args).items():
        if key in ("command", "run", "names", "all", "jobs", "hours", "json") or value == parser.get_default(key):
            continue
        flag = "--from" if key == "start" else "--" + key.replace("_", "-")
        if key == "architecture":
            value = json.dumps(value)
        words += [flag] if value is True else [flag, *map(str, value if isinstance(value, list) else [value])]
    return words
