"""Where cells are evaluated: in this process, in several, or on a Ray cluster.

All of them call the same function on the same cells, and none of them writes: whoever iterates over `execute` is the
one writer of the store. A cell's outcome depends on the cell alone, so neither the place nor the order shows in it; to
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
from collections.abc import Generator, Iterable, Iterator
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


def execute(
    work: Work,
    evaluator: Evaluator,
    executor: str = "local",
    workers: int | None = None,
    address: str | None = None,
) -> Generator[Result, None, None]:
    """Evaluate cells and yield their results as they come.

    evaluator: of this process; others make one like it. executor: `local`, with `workers` processes (default: this
    one), or `ray`, on the cluster at `address` (default: one started on this machine), with at most `workers` cells at
    once (default: the cluster's cores).
    Raises ValueError for an unknown executor, for Ray where it is not installed, for adapters or networks that another
    process cannot have, and where a cell's worker died `ATTEMPTS` times.
    """
    machine = evaluator.machine
    if executor not in EXECUTORS:
        raise ValueError(f"no executor {executor!r}; there are: {', '.join(EXECUTORS)}")
    if address is not None and executor != "ray":
        raise ValueError("--ray-address needs --executor ray")
    if workers is not None and workers < 1:
        raise ValueError(f"--workers must be at least 1, not {workers}")
    if executor == "local" and workers in (None, 1):
        return (_evaluated(evaluator, key, cell) for key, cell in work)
    if evaluator.adapters:
        raise ValueError("adapters of one's own run in this process alone: leave out workers and executor")
    sent = sent_to_workers(evaluator)
    if executor == "ray":
        if sent.alone:
            raise ValueError(f"{sent.alone[0]} is in this process alone: register it in a file that all nodes have")
        return _on_ray(_ray(), work, machine, workers, address)
    return _in_processes(work, machine, workers or 1, sent)


def threads_of(machine: Machine, executor: str, workers: int | None) -> int:
    """How many threads each process that evaluates cells will have."""
    if machine.threads is not None:
        return machine.threads
    if executor == "ray":
        return 1  # a core for each cell
    import torch

    return torch.get_num_threads() if workers in (None, 1) else max(1, (os.cpu_count() or 1) // (workers or 1))


def _in_processes(work: Work, machine: Machine, workers: int, sent: Sent) -> Generator[Result, None, None]:
    coming = iter(work)
    suspects: deque[tuple[str, Cell]] = deque()  # ran when a worker died: they run again, one at a time
    suspected: set[tuple[str, Cell]] = set()  # the suspects and the one of them that runs now
    deaths: Counter[tuple[str, Cell]] = Counter()  # of workers that ran alone: only then is the cell the cause
    while True:  # once for every pool: a worker that dies takes its pool with it
        started: dict[Future[Result], tuple[str, Cell]] = {}
        with _pool(workers, threads_of(machine, "local", workers), sent) as pool:
            try:
                while True:
                    alone = bool(suspects) or any(task in suspected for task in started.values())
                    while len(started) < (1 if alone else workers) and (
                        task := suspects.popleft() if suspects else next(coming, None)
                    ):
                        started[pool.submit(evaluate, machine, *task)] = task
                    if not started:
                        return
                    done, _ = wait(started, return_when=FIRST_COMPLETED)
                    for future in sorted(done, key=lambda future: future.exception() is not None):
                        result = future.result()
                        suspected.discard(started.pop(future))
                        yield result
            except BrokenProcessPool:
                lost = list(started.values())
        if len(lost) == 1:
            deaths.update(lost)
            if deaths[lost[0]] >= ATTEMPTS:
                raise _lost(lost[0][1])
        suspects.extend(lost)
        suspected.update(lost)


@contextlib.contextmanager
def _pool(workers: int, threads: int, sent: Sent) -> Iterator[ProcessPoolExecutor]:
    """Processes that share the cores. If the block is left early they end at once, not when their cells are done."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(threads, sent)
    )
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


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


def _on_ray(
    ray: Any, work: Work, machine: Machine, workers: int | None, address: str | None
) -> Generator[Result, None, None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # for a cluster that is started here
    try:
        ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError) as error:
        raise ValueError(f"cannot reach a Ray cluster at {address}: {str(error).splitlines()[0]}") from error
    needs = {"num_cpus": threads_of(machine, "ray", workers), "num_gpus": int(machine.device.startswith("cuda"))}
    remote = ray.remote(max_retries=ATTEMPTS - 1, **needs)(evaluate)
    coming = iter(work)
    running: dict[Any, Cell] = {}
    try:
        while True:
            has = ray.cluster_resources()  # each time: nodes come and go
            places = min(
                int(has.get(kind, 0)) // count
                for kind, count in (("CPU", needs["num_cpus"]), ("GPU", needs["num_gpus"]))
                if count
            )
            if not places:
                raise ValueError(f"no node of the Ray cluster has what a cell needs ({needs}); it has {dict(has)}")
            for key, cell in itertools.islice(coming, max(0, (workers or places) - len(running))):
                running[remote.remote(machine, key, cell)] = cell
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
    finally:
        ray.shutdown()


def _lost(cell: Cell) -> ValueError:
    return ValueError(
        f"the worker of {cell.label} died {ATTEMPTS} times, most likely for memory: use fewer --workers, or see "
        "whether the cell runs alone"
    )
