"""Engines: where the batches of a benchmark are done. Whatever else can run a function on plain data fits as well."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol

from finetrace.errors import FinetraceError
from finetrace.evals.bench.unit import Batch
from finetrace.evals.bench.work import Fault, do_batch, give_up

Work = Callable[[Batch], tuple[Fault, ...]]


class Engine(Protocol):
    """Something that does batches, in any order and as many at once as it likes."""

    def run(self, batches: Sequence[Batch]) -> Iterator[tuple[Fault, ...]]:
        """Do them all; what went wrong in each, as each is done.

        Raises:
            KeyboardInterrupt: Stopped by hand; what was done is in the store.
        """


class Here:
    """One after the other, in this process."""

    def run(self, batches: Sequence[Batch]) -> Iterator[tuple[Fault, ...]]:
        """See `Engine.run`."""
        for batch in batches:
            yield do_batch(batch)


class Processes:
    """Several processes on this machine. One that dies, for want of memory say, takes its batch along and no other.

    Args:
        workers: How many.
        work: What each does; replaced in tests.
    """

    def __init__(self, workers: int, work: Work = do_batch) -> None:
        self._workers = workers
        self._work = work

    def run(self, batches: Sequence[Batch]) -> Iterator[tuple[Fault, ...]]:
        """See `Engine.run`."""
        waiting = deque(batches)
        lanes = [self._lane() for _ in range(min(self._workers, len(waiting)))]
        busy: dict[Future[tuple[Fault, ...]], tuple[int, Batch]] = {}
        try:
            for number in range(len(lanes)):
                self._hand(lanes, number, waiting, busy)
            while busy:
                done, _ = wait(busy, return_when=FIRST_COMPLETED)
                for future in done:
                    number, batch = busy.pop(future)
                    faults = self._faults(future, batch)
                    if faults is None:
                        lanes[number].shutdown(wait=False)
                        lanes[number] = self._lane()
                        faults = give_up(batch, "the process that worked on it died, perhaps for want of memory")
                    self._hand(lanes, number, waiting, busy)
                    yield faults
        finally:
            for lane in lanes:
                lane.shutdown(wait=False, cancel_futures=True)

    def _lane(self) -> ProcessPoolExecutor:
        """A process of its own; started afresh, because models and threads do not survive a fork."""
        threads = max(1, (os.cpu_count() or 1) // self._workers)
        return ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker, initargs=(threads,)
        )

    def _hand(
        self,
        lanes: list[ProcessPoolExecutor],
        number: int,
        waiting: deque[Batch],
        busy: dict[Future[tuple[Fault, ...]], tuple[int, Batch]],
    ) -> None:
        """Give a lane the next batch."""
        if waiting:
            batch = waiting.popleft()
            busy[lanes[number].submit(self._work, batch)] = (number, batch)

    @staticmethod
    def _faults(future: Future[tuple[Fault, ...]], batch: Batch) -> tuple[Fault, ...] | None:
        """What went wrong in a batch; ``None`` where its process died."""
        try:
            return future.result()
        except BrokenProcessPool:
            return None
        except FinetraceError as fault:
            return give_up(batch, fault.message)
        except Exception as fault:
            return give_up(batch, f"{type(fault).__name__}: {fault}")


def engine_for(workers: int) -> Engine:
    """The engine for so many processes; this one alone for 1."""
    return Here() if workers == 1 else Processes(workers)


def _begin_worker(threads: int) -> None:
    """Share the cores, and end with the process that started this one, however it ends."""
    import torch

    torch.set_num_threads(threads)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
