"""Pieces of work in several processes: of this machine, or of a dask cluster that is reached by its address."""

import argparse
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import torch

from helpers import __version__
from helpers.errors import BadInput
from helpers.methods.limited import allowing
from helpers.places import READERS

if TYPE_CHECKING:
    from distributed import Client

WAITING = 4  # pieces a process that are sent ahead: of more, memory would hold all the slices
PATIENCE = 30  # seconds until a scheduler has answered
# what glibc reads when a process starts: dask sets the second, which by itself makes it ask the system for every large
# tensor anew, and half of the time is then spent on that
MEMORY = {"MALLOC_MMAP_THRESHOLD_": 2**25, "MALLOC_TRIM_THRESHOLD_": 2**31 - 1, "MALLOC_ARENA_MAX": 1}
THREADS = {f"{library}_NUM_THREADS": 1 for library in ("OMP", "MKL", "OPENBLAS")}
GPU = "GPU"  # the resource of which a piece on such a device takes one


@dataclass(frozen=True)
class Workers:
    """Who does the work.

    jobs       pieces at a time, each on one thread; of more than one, each in a process of its own
    scheduler  address of a running dask scheduler, whose workers do it instead; None for processes of this machine
    device     what the pieces compute on: other than "cpu", a piece takes one `GPU` of its worker
    limit      seconds that an image of a reader's method may take, each then in a process of its own; None for no limit
    """

    jobs: int = 1
    scheduler: str | None = None
    device: str = "cpu"
    limit: float | None = None

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Workers":
        """As a command was told."""
        return cls(args.jobs, args.scheduler, args.device, getattr(args, "limit", None))

    def results(
        self, function: Callable[[tuple], object], work: Iterable[tuple[object, tuple]]
    ) -> Iterator[tuple[object, object]]:
        """Key and result of every piece, as they come: work has (key, arguments), of which `function` makes a result.

        A piece whose process dies is done again; raised is what the function raises, and BadInput for a piece that
        kills every process that takes it, and for a scheduler that does not answer or has no worker for `device`.
        """
        if self.jobs == 1 and self.scheduler is None:
            yield from ((key, _alone(function, self.limit, arguments)) for key, arguments in work)
            return
        todo = iter(work)
        with self._client() as client:
            from distributed import as_completed

            resources = {GPU: 1} if self.device != "cpu" else None

            def sent(piece: tuple[object, tuple]) -> object:
                key, arguments = piece
                future = client.submit(_alone, function, self.limit, arguments, pure=False, resources=resources)
                running[future] = key
                return future

            running: dict[object, object] = {}
            count = WAITING * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
            done = as_completed([sent(piece) for piece in islice(todo, count)], loop=client.loop)
            for future in done:
                key, result = running.pop(future), _result(future)
                for piece in islice(todo, 1):
                    done.add(sent(piece))
                yield key, result

    @contextmanager
    def _client(self) -> Iterator["Client"]:
        import dask
        from distributed import Client, LocalCluster  # imported here: a machine that computes alone may lack it
        from distributed.comm import get_address_host_port

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is wrong is said in a sentence
        with ExitStack() as stack:
            where = self.scheduler
            if where is None:
                options = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
                options |= {"resources": {GPU: 1}, "silence_logs": logging.CRITICAL}
                stack.enter_context(dask.config.set({"distributed.nanny.pre-spawn-environ": MEMORY | THREADS}))
                where = stack.enter_context(LocalCluster(n_workers=self.jobs, processes=True, **options))
            try:
                if self.scheduler is not None:
                    get_address_host_port(where)  # a Client of what is no address hangs when it is deleted
                client = stack.enter_context(Client(where, timeout=PATIENCE, set_as_default=False))
            except (OSError, ValueError, TimeoutError) as error:
                raise BadInput(
                    f"no dask scheduler answers at {self.scheduler}; give the address that it prints"
                ) from error
            if self.scheduler is not None:
                _same_code(client)
                if self.device != "cpu":
                    _with_gpu(client)
            yield client


def _alone(function: Callable[[tuple], object], limit: float | None, arguments: tuple) -> object:
    """One piece on one thread, so that results do not depend on how many run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with allowing(limit):
            return function(arguments)
    finally:
        torch.set_num_threads(threads)


def _here() -> tuple[str, str]:
    """What workers must have in common with us: the version, and what was tuned on a reader's own scans."""
    return __version__, READERS.read_text("utf8") if READERS.is_file() else ""


def _same_code(client: "Client") -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
        found = set(client.run(_here).values())
    except TimeoutError as error:
        raise BadInput("the dask scheduler has no worker; start some, and give them its address") from error
    except ImportError as error:
        raise BadInput("the workers of the dask scheduler lack this package; install it where they run") from error
    if versions := ", ".join(sorted({version for version, _ in found} - {__version__})):
        raise BadInput(f"the workers of the dask scheduler have version {versions}, not {__version__}")
    if found != {_here()}:
        raise BadInput(f"the workers of the dask scheduler have other tuned weights; copy {READERS} to where they run")


def _with_gpu(client: "Client") -> None:
    """Without such a worker, pieces would wait for ever."""
    if not any(worker["resources"].get(GPU) for worker in client.scheduler_info(n_workers=-1)["workers"].values()):
        raise BadInput(f"no worker of the dask scheduler has a {GPU}; start some with --resources {GPU}=1")


def _result(future: object) -> object:
    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    try:
        return future.result()
    except (CancelledError, CommClosedError) as error:
        raise BadInput("the dask scheduler was lost in the middle of the work; give the same command again") from error
    except KilledWorker as error:
        words = "a process ended in the middle of its work, each time it was tried, as for want of memory"
        raise BadInput(f"{words}; give fewer --jobs") from error
