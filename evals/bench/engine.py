"""Engines: where the batches of a benchmark are done. Whatever else can run a function on plain data fits as well."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from typing import Protocol

from finetrace.errors import FinetraceError
from finetrace.evals.bench.unit import Batch
from finetrace.evals.bench.work import Fault, do_batch, give_up

Work = Callable[[Batch], tuple[Fault, ...]]
_DIED = "the process that worked on it died, perhaps for want of memory"


class Engine(Protocol):
    """Something that does batches, in any order and as many at once as it likes."""

    def run(self, batches: Sequence[Batch]) -> Iterator[tuple[Fault, ...]]:
        """Do them all; what went wrong in each, as each is done.

        Raises:
            KeyboardInterrupt: Stopped by hand; what was done is in the store, and nobody works on.
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
        try:
            for lane in lanes:
                lane.hand(waiting.popleft())
            while busy := [lane.connection for lane in lanes if lane.batch is not None]:
                ready = wait(busy)
                for number, lane in enumerate(lanes):
                    if lane.batch is None or lane.connection not in ready:
                        continue
                    faults = lane.take()
                    if faults is None:
                        lane.end()
                        faults = give_up(lane.batch, _DIED)
                        lanes[number] = self._lane()
                    lanes[number].batch = None
                    if waiting:
                        lanes[number].hand(waiting.popleft())
                    yield faults
        finally:
            for lane in lanes:
                lane.end()

    def _lane(self) -> _Lane:
        return _Lane(self._work, max(1, (os.cpu_count() or 1) // self._workers))


class _Lane:
    """A process of its own that does one batch after another.

    Args:
        work: What it does with each.
        threads: Its share of the cores.
    """

    def __init__(self, work: Work, threads: int) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        self.batch: Batch | None = None
        """What it is at work on."""
        self._process = _context().Process(target=_keep_working, args=(theirs, work, threads), daemon=True)
        self._process.start()
        theirs.close()

    def hand(self, batch: Batch) -> None:
        """Give it the next batch."""
        self.batch = batch
        try:
            self.connection.send(batch)
        except OSError:
            pass  # it died while it waited: `take` says so

    def take(self) -> tuple[Fault, ...] | None:
        """What went wrong in the batch, which is done; ``None`` where the process died over it."""
        try:
            faults: tuple[Fault, ...] = self.connection.recv()
        except (EOFError, OSError):
            return None
        return faults

    def end(self) -> None:
        """Stop the process, whatever it is at: what it wrote is in the store."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def engine_for(workers: int) -> Engine:
    """The engine for so many processes; this one alone for 1."""
    return Here() if workers == 1 else Processes(workers)


def _context() -> ForkServerContext | SpawnContext:
    """Processes that begin afresh, because models and threads do not survive a fork.

    Where it can be done they come from one that has imported everything and done nothing.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _keep_working(connection: Connection, work: Work, threads: int) -> None:
    """What a process does till it is ended: batch after batch."""
    import torch

    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one ends the others
    _end_with_parent()
    while True:
        try:
            batch: Batch = connection.recv()
        except EOFError:
            return
        try:
            faults = work(batch)
        except FinetraceError as fault:
            faults = give_up(batch, fault.message)
        except Exception as fault:
            faults = give_up(batch, f"{type(fault).__name__}: {fault}")
        connection.send(faults)


def _end_with_parent() -> None:
    """End this process with the one that started it, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
