"""Where cells are evaluated: in this process, in several, or on a Ray cluster.

All of them call the same function on the same cells, and none of them writes: whoever iterates over `execute` is the
one writer of the store. A cell's outcome depends on the cell alone, so neither the place nor the order shows in it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import logging
import multiprocessing
import os
import platform
import signal
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmark.suites import Cell
from benchmark.timing import Timing

if TYPE_CHECKING:
    from benchmark.evaluate import Evaluator
    from benchmark.record import Record

EXECUTORS = ("local", "ray")
ATTEMPTS = 3  # how often a cell whose worker died is tried before the run gives up

Work = Iterable[tuple[str, Cell]]  # key and cell; taken one by one, when a worker is free


@dataclass(frozen=True)
class Machine:
    """How cells are evaluated, wherever that is; nothing here is part of a cell's key.

    share: let libraries and neighbouring cells share gradients. stack: many draws in one pass; None where possible.
    external: `package.module:factory` and data set of entries that are not in the zoo, for processes that start anew.
    """

    device: str = "cpu"
    data_root: Path | None = None
    download: bool = False
    share: bool = True
    stack: bool | None = None
    external: tuple[tuple[str, str | None], ...] = ()


class Result(NamedTuple):
    """A cell's record and where its time went."""

    record: Record
    timing: Timing


@functools.lru_cache(maxsize=1)
def evaluator_on(machine: Machine) -> Evaluator:
    """The evaluator of this process, which keeps networks and gradients from one cell to the next."""
    from benchmark.evaluate import Evaluator
    from zoo import external_model

    for reference, dataset in machine.external:
        external_model(reference, dataset)
    return Evaluator(machine)


def evaluate(machine: Machine, key: str, cell: Cell) -> Result:
    """Evaluate one cell in this process. Raises ValueError where network, data or packages are not the caller's."""
    evaluator = evaluator_on(machine)
    evaluator.timing.clear()
    if (found := evaluator.key(cell)) != key:
        raise ValueError(
            f"{cell.label} has the key {found[:12]}… on {platform.node()} and {key[:12]}… where the run was "
            "started: install the same versions, weights and data on both"
        )
    return Result(evaluator.evaluate(cell), Timing(evaluator.timing))


def execute(
    work: Work, machine: Machine, executor: str = "local", workers: int | None = None, address: str | None = None
) -> Generator[Result, None, None]:
    """Evaluate cells and yield their results as they come.

    executor: `local`, with `workers` processes (default: this one), or `ray`, on the cluster at `address` (default: one
    started on this machine), with at most `workers` cells at once (default: the cluster's cores).
    Raises ValueError for an unknown executor, for Ray where it is not installed, and where a cell's worker died
    `ATTEMPTS` times.
    """
    if executor not in EXECUTORS:
        raise ValueError(f"no executor {executor!r}; there are: {', '.join(EXECUTORS)}")
    if address is not None and executor != "ray":
        raise ValueError("--ray-address needs --executor ray")
    if workers is not None and workers < 1:
        raise ValueError(f"--workers must be at least 1, not {workers}")
    if executor == "ray":
        return _on_ray(work, machine, workers, address)
    if workers is None or workers == 1:
        return (evaluate(machine, key, cell) for key, cell in work)
    return _in_processes(work, machine, workers)


def _in_processes(work: Work, machine: Machine, workers: int) -> Generator[Result, None, None]:
    coming, again = iter(work), deque[tuple[str, Cell]]()
    attempts: Counter[str] = Counter()
    while True:  # once for every pool: a worker that dies takes its pool with it
        started: dict[str, Cell] = {}
        with _pool(workers) as pool:
            running: set[Future[Result]] = set()
            try:
                while True:
                    while len(running) < workers and (task := again.popleft() if again else next(coming, None)):
                        started.update([task])
                        running.add(pool.submit(evaluate, machine, *task))
                    if not running:
                        return
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        result = future.result()
                        del started[result.record.key]
                        yield result
            except BrokenProcessPool:
                attempts.update(started.keys())
                again.extend(started.items())
        for key, cell in again:
            if attempts[key] >= ATTEMPTS:
                raise _lost(cell)


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share the cores. Left early, they end at once and not with the cells they are at."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(threads,)
    )
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(threads: int) -> None:
    import torch
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own is a semaphore, which a worker that is ended would leave behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    torch.set_num_threads(threads)


def _on_ray(work: Work, machine: Machine, workers: int | None, address: str | None) -> Generator[Result, None, None]:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise ValueError("--executor ray needs Ray: pip install 'robustness-zoo[ray]', here and on all nodes") from None

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # for a cluster that is started here
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError) as error:
        raise ValueError(f"cannot reach a Ray cluster at {address}: {str(error).splitlines()[0]}") from error
    on_gpu = {"num_gpus": 1} if machine.device.startswith("cuda") else {}
    remote = ray.remote(max_retries=ATTEMPTS - 1, num_cpus=1, **on_gpu)(evaluate)
    coming = iter(work)
    running: dict[Any, Cell] = {}
    try:
        most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        while True:
            for key, cell in itertools.islice(coming, most - len(running)):
                running[remote.remote(machine, key, cell)] = cell
            if not running:
                return
            (done,), _ = ray.wait(list(running))
            cell = running.pop(done)
            try:
                result: Result = ray.get(done)
            except ray.exceptions.RayTaskError as error:  # what the cell raised there is raised here
                raise error.cause from error
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError):
                raise _lost(cell) from None
            yield result
    finally:
        ray.shutdown()


def _lost(cell: Cell) -> ValueError:
    return ValueError(
        f"the worker of {cell.label} died {ATTEMPTS} times, most likely for memory: use fewer --workers, or see "
        "whether the cell runs alone"
    )
