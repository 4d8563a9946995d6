"""Where cells are evaluated: in this process, in several, or on a Ray cluster.

All of them call the same function on the same cells, and none of them writes: whoever takes the results is the one
writer of the store. A cell's outcome depends on the cell alone, so neither the place nor the order shows in it; to
the last digit that holds for the same number of threads, which is what torch divides its sums by.
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
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmark.evaluation.machine import Machine
from benchmark.evaluation.sent import Sent, sent_to_workers
from benchmark.plan.cells import Cell
from benchmark.plan.roles import role_of
from benchmark.timing import Timing

if TYPE_CHECKING:
    from benchmark.evaluation.evaluator import Evaluator
    from benchmark.records.record import Record

EXECUTORS = ("local", "ray")
ATTEMPTS = 3  # how often a cell whose worker died is tried before the run gives up

Work = Iterable[tuple[str, Cell]]  # key and cell; taken one by one, when a worker is free
Execute = Callable[[Work], "Generator[Result, None, None]"]


class Result(NamedTuple):
    """A cell's record, where its time went, and its images where they are kept, packed."""

    record: Record
    timing: Timing
    images: bytes | None = None


@functools.lru_cache(maxsize=1)
def evaluator_on(machine: Machine) -> Evaluator:
    """The evaluator of this process, which keeps networks and gradients from one cell to the next."""
    from benchmark.evaluation.evaluator import Evaluator
    from zoo import external_model
    from zoo.datasets import DATASETS

    if machine.own_data is not None:
        DATASETS.named_by(*machine.own_data)
    for reference, dataset, said in machine.external:
        external_model(reference, dataset, *said)
    return Evaluator(machine)


def evaluate(machine: Machine, key: str, cell: Cell) -> Result:
    """Evaluate one cell in this process. Raises ValueError where network, data or packages are not the caller's."""
    return _evaluated(evaluator_on(machine), key, cell)


def _evaluated(evaluator: Evaluator, key: str, cell: Cell) -> Result:
    from benchmark.evaluation.kept import Kept

    evaluator.timing.clear()
    if (found := evaluator.key(cell)) != key:
        raise ValueError(
            f"{cell.label} has the key {found[:12]}… on {platform.node()} and {key[:12]}… where the run was "
            "started: install the same versions, weights and data on both"
        )
    kept = Kept() if evaluator.machine.keep_images and role_of(cell).counts_in_worst_case else None
    record = evaluator.evaluate(cell, kept)
    return Result(record, Timing(evaluator.timing), None if kept is None else kept.packed(record))


def check_executor(executor: str, workers: int | None, address: str | None) -> None:
    """Raises ValueError for what `executing` refuses whatever is evaluated: a run asks before it loads a network."""
    if executor not in EXECUTORS:
        raise ValueError(f"no executor {executor!r}; there are: {', '.join(EXECUTORS)}")
    if address is not None and executor != "ray":
        raise ValueError("--ray-address needs --executor ray")
    if workers is not None and workers < 1:
        raise ValueError(f"--workers must be at least 1, not {workers}")


@contextlib.contextmanager
def executing(
    evaluator: Evaluator, executor: str = "local", workers: int | None = None, address: str | None = None
) -> Iterator[Execute]:
    """What evaluates cells and yields their results as they come, for one phase of a run after the other.

    evaluator: of this process; others make one like it. executor: `local`, with `workers` processes (default: this
    one), or `ray`, on the cluster at `address` (default: one started on this machine), with at most `workers` cells at
    once (default: the cluster's cores). Processes and cluster are started for the first cell, and end with the block.
    Raises ValueError as `check_executor` does, for Ray where it is not installed, for adapters or networks that another
    process cannot have, and, while results are taken, where a cell's worker died `ATTEMPTS` times.
    """
    check_executor(executor, workers, address)
    if executor == "local" and workers in (None, 1):
        yield lambda work: (_evaluated(evaluator, key, cell) for key, cell in work)
        return
    if evaluator.adapters:
        raise ValueError("adapters of one's own run in this process alone: leave out workers and executor")
    sent = sent_to_workers(evaluator)
    if executor == "ray":
        if sent.alone:
            raise ValueError(f"{sent.alone[0]} is in this process alone: register it in a file that all nodes have")
        with _RayCluster(_ray(), evaluator.machine, workers, address) as cluster:
            yield cluster
    else:
        with _Processes(evaluator.machine, workers or 1, sent) as processes:
            yield processes


def threads_of(machine: Machine, executor: str, workers: int | None) -> int:
    """How many threads each process that evaluates cells will have."""
    if machine.threads is not None:
        return machine.threads
    if executor == "ray":
        return 1  # a core for each cell
    import torch

    return torch.get_num_threads() if workers in (None, 1) else max(1, (os.cpu_count() or 1) // (workers or 1))


class _Processes:
    """Processes that share the cores, for all phases of a run: each imports torch and loads networks but once."""

    def __init__(self, machine: Machine, workers: int, sent: Sent) -> None:
        self._machine, self._workers, self._sent = machine, workers, sent
        self._pool: ProcessPoolExecutor | None = None
        self._others = set(multiprocessing.active_children())

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """If the block is left early they end at once, not when their cells are done."""
        for process in set(multiprocessing.active_children()) - self._others if failed else ():
            process.terminate()
        self._end()

    def __call__(self, work: Work) -> Generator[Result, None, None]:
        coming = iter(work)
        suspects: deque[tuple[str, Cell]] = deque()  # ran when a worker died: they run again, one at a time
        suspected: set[tuple[str, Cell]] = set()  # the suspects and the one of them that runs now
        deaths: Counter[tuple[str, Cell]] = Counter()  # of workers that ran alone: only then is the cell the cause
        while True:  # once for every pool: a worker that dies takes its pool with it
            started: dict[Future[Result], tuple[str, Cell]] = {}
            try:
                while True:
                    alone = bool(suspects) or any(task in suspected for task in started.values())
                    while len(started) < (1 if alone else self._workers) and (
                        task := suspects.popleft() if suspects else next(coming, None)
                    ):
                        started[self._started().submit(evaluate, self._machine, *task)] = task
                    if not started:
                        return
                    done, _ = wait(started, return_when=FIRST_COMPLETED)
                    for future in sorted(done, key=lambda future: future.exception() is not None):
                        result = future.result()
                        suspected.discard(started.pop(future))
                        yield result
            except BrokenProcessPool:
                lost = list(started.values())
                self._end()
            if len(lost) == 1:
                deaths.update(lost)
                if deaths[lost[0]] >= ATTEMPTS:
                    raise _lost(lost[0][1])
            suspects.extend(lost)
            suspected.update(lost)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            threads = threads_of(self._machine, "local", self._workers)
            self._pool = ProcessPoolExecutor(
                self._workers,
                multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(threads, self._sent),
            )
        return self._pool

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _start_worker(threads: int, sent: Sent) -> None:
    import torch
    from tqdm import tqdm

    from zoo import models
    from zoo.datasets import DATASETS

    tqdm.set_lock(threading.RLock())  # tqdm's own is a semaphore, which a worker that is ended would leave behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    torch.set_num_threads(threads)
    for data in sent.data:
        if data.name not in DATASETS:  # the file that its parts are in may have registered it
            DATASETS.add(data)
    for entry in sent.entries:
        if entry.name not in models:
            models.add(entry)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its workers, which would wait for work forever: they end with it by themselves."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise ValueError("--executor ray needs Ray: pip install 'robustness-zoo[ray]', here and on all nodes") from None


class _RayCluster:
    """Cells as tasks of a Ray cluster, for all phases of a run."""

    def __init__(self, ray: Any, machine: Machine, workers: int | None, address: str | None) -> None:
        self._ray, self._machine, self._workers, self._address = ray, machine, workers, address
        self._needs = {
            "num_cpus": threads_of(machine, "ray", workers),
            "num_gpus": int(machine.device.startswith("cuda")),
        }
        self._remote: Any = None

    def __enter__(self) -> _RayCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def __call__(self, work: Work) -> Generator[Result, None, None]:
        ray, coming = self._ray, iter(work)
        remote = self._connected()
        running: dict[Any, Cell] = {}
        while True:
            places = self._places()
            for key, cell in itertools.islice(coming, max(0, (self._workers or places) - len(running))):
                running[remote.remote(self._machine, key, cell)] = cell
            if not running:
                return
            (done,), _ = ray.wait(list(running))
            cell = running.pop(done)
            try:
                result: Result = ray.get(done)
            except ray.exceptions.RayTaskError as error:  # what the cell raised there is raised here
                raise ValueError(f"{cell.label}: {error.cause or error}") from error
            except ray.exceptions.RayError as error:
                raise _lost(cell) from error
            yield result

    def _connected(self) -> Any:
        """The task that evaluates a cell, when there is a cluster."""
        if self._remote is None:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # for a cluster that is started here
            try:
                self._ray.init(address=self._address or "local", logging_level=logging.ERROR, log_to_driver=False)
            except (ConnectionError, RuntimeError) as error:
                raise ValueError(
                    f"cannot reach a Ray cluster at {self._address}: {str(error).splitlines()[0]}"
                ) from error
            self._remote = self._ray.remote(max_retries=ATTEMPTS - 1, **self._needs)(evaluate)
        return self._remote

    def _places(self) -> int:
        """How many cells the cluster can run at once. Raises ValueError where no node has what one needs."""
        has = self._ray.cluster_resources()  # each time: nodes come and go
        found = min(
            int(has.get(kind, 0)) // count
            for kind, count in (("CPU", self._needs["num_cpus"]), ("GPU", self._needs["num_gpus"]))
            if count
        )
        if not found:
            raise ValueError(f"no node of the Ray cluster has what a cell needs ({self._needs}); it has {dict(has)}")
        return found


def _lost(cell: Cell) -> ValueError:
    return ValueError(
        f"the worker of {cell.label} died {ATTEMPTS} times, most likely for memory: use fewer --workers, or see "
        "whether the cell runs alone"
    )
