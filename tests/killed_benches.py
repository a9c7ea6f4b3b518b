"""Command lines in processes of their own that are killed with -9 where they are told to be; run as a script.

All come from one process that has imported everything, so that each begins at once.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from finetrace.evals.bench import engine, work
from finetrace.evals.bench.unit import Batch
from finetrace.evals.bench.work import Fault
from finetrace.evals.grading.offline_grader import OfflineGrader


class Here(engine.Here):
    """One batch after the other in this process, graded by `Judge`."""

    def run(self, batches: Sequence[Batch]) -> Iterator[tuple[Fault, ...]]:
        """See `engine.Engine.run`."""
        yield from map(do_batch, batches)


class Kill(NamedTuple):
    """Where a process is killed."""

    method: str
    """A method of the store that writes."""
    when: str
    """``before`` or ``after`` it wrote; ``seen`` for what another process wrote."""
    number: int
    """How often it has to be called."""


class Command(NamedTuple):
    """One command line."""

    user: str
    """Whose store and cache."""
    arguments: Sequence[str]
    kill: Kill | None = None


class Done(NamedTuple):
    """How it ended."""

    code: int
    out: str
    err: str
    workers: Sequence[int]
    """Processes that were at work for it when it was killed."""
    left_alive: Sequence[int]
    """Those of them that did not end within some seconds."""


class Judge:
    """Grades by the hypothesis alone; the real grader would load its encoder in every process."""

    name = OfflineGrader.name

    def judge(self, hypothesis: Any, organism: str, repeat: int = 0) -> Any:
        from finetrace.evals.grading.grade import Grade

        return Grade(grader=self.name, score=1 + len(hypothesis.summary) % 5, identification_rank=1 + len(organism))


def arm(kill: Kill) -> None:
    """Have this process kill itself there."""
    from finetrace.store import Store

    whole = getattr(Store, kill.method)
    calls = 0

    def stopping(self: Store, *arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == kill.number and kill.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = whole(self, *arguments, **options)
        if calls == kill.number and kill.when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(Store, kill.method, stopping)


def watch(number: int, began: Path) -> None:
    """Kill this process once others have written so many steps; say first which they are."""
    from finetrace.store import Store

    def look() -> None:
        while True:
            with Store() as store:
                steps = sum(len(store.steps(run_id)) for run_id in store.run_ids())
            if steps >= number:
                began.write_text(json.dumps([child.pid for child in multiprocessing.active_children()]))
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.01)

    threading.Thread(target=look, daemon=True).start()


def do_batch(batch: Batch) -> tuple[Fault, ...]:
    """The work on a batch, graded by `Judge`."""
    vars(work)["open_judge"] = lambda *asked, **options: Judge()
    return work.do_batch(batch)


def command_line(command: Command, folder: Path) -> None:
    """Carry out a command line in this process, which is nobody else's."""
    from finetrace.cli import main

    for kind in ("data", "cache"):
        os.environ[f"FINETRACE_{kind.upper()}_DIR"] = str(folder.parent / command.user / kind)
    vars(engine)["engine_for"] = lambda workers: engine.Processes(workers, do_batch) if workers > 1 else Here()
    if command.kill is not None:
        watch(command.kill.number, folder / "began") if command.kill.when == "seen" else arm(command.kill)
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(list(command.arguments))


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def carry_out(command: Command, folder: Path) -> Done:
    """Carry out a command line in a new process."""
    folder.mkdir()
    process = multiprocessing.get_context("forkserver").Process(target=command_line, args=(command, folder))
    process.start()
    process.join()
    began = folder / "began"
    workers = json.loads(began.read_text()) if began.exists() else []
    patience = time.monotonic() + 10
    while any(map(alive, workers)) and time.monotonic() < patience:
        time.sleep(0.01)
    code = process.exitcode
    texts = [(folder / name).read_text() for name in ("out", "err")]
    return Done(99 if code is None else code, *texts, workers, [pid for pid in workers if alive(pid)])


def carry_out_all() -> None:
    """Read command lines from standard input, and write how each ended to standard output."""
    asked = json.load(sys.stdin)
    multiprocessing.get_context("forkserver").set_forkserver_preload(["killed_benches"])
    commands = [Command(user, line, None if kill is None else Kill(*kill)) for user, line, kill in asked["commands"]]
    ended = [carry_out(command, Path(asked["folder"]) / f"{place}") for place, command in enumerate(commands)]
    json.dump(ended, sys.stdout)


if __name__ == "__main__":
    from killed_benches import carry_out_all as under_its_own_name

    under_its_own_name()
