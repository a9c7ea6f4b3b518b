"""From what is asked for to the units of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetrace import __version__
from finetrace.agent import Budget, Thoroughness, find_arm, make_investigator
from finetrace.agent.arms import OWN_ARM, Arm, arm_of
from finetrace.errors import FinetraceError
from finetrace.evals.bench.grading import OFFLINE, grades_in_force, grades_wanted
from finetrace.evals.bench.unit import Batch, Unit
from finetrace.models import Target
from finetrace.registry import Registry, load_registry
from finetrace.schema import BenchRecord, Organism, RunStatus
from finetrace.settings import get_settings, writable_folder
from finetrace.store import Store, new_run_id

Form = TypeVar("Form", bound=BaseModel)


_LOCK_SECONDS = 2.0
"""A process that was just killed may hold its lock for a moment."""


class OwnArm(BaseModel):
    """An arm that this benchmark brings along."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instruments: tuple[str, ...]
    interactions: int = Field(ge=0)


class BenchSettings(BaseModel):
    """What is asked for. Two benchmarks with the same settings make the same runs, ids apart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry: str
    """The organisms file, absolute."""
    organisms: tuple[str, ...] = Field(min_length=1)
    """Full names."""
    arms: tuple[str, ...] = Field(min_length=1)
    """Names, with or without a number of interactions."""
    own_arms: dict[str, OwnArm] = Field(default_factory=dict)
    """Arms of a file, by name."""
    seeds: int = Field(ge=1)
    """Runs of each organism in each arm."""
    investigators: tuple[str, ...] = Field(min_length=1)
    """Who decides."""
    budget: Budget = Budget()
    """Of each run; interactions by arm where they are left out."""
    thoroughness: Thoroughness = Thoroughness()
    """How much to measure."""
    grader: str | None = None
    """Name of the language model that instruments may ask."""
    judge: str = OFFLINE
    """Who grades: the tables show these grades."""
    judges_beside: tuple[str, ...] = ()
    """Who grades as well, to see how far graders agree."""
    grades: int = Field(default=1, ge=1)
    """Grades of each run by each language model that grades."""
    protocol: str | None = None
    """The preset that these settings come from."""

    @property
    def judges(self) -> tuple[str, ...]:
        """All who grade, the main one first."""
        return (self.judge, *self.judges_beside)

    def arm(self, name: str) -> Arm:
        """An arm by name, own ones first.

        Raises:
            FinetraceError: There is none.
        """
        own = self.own_arms.get(name.partition("@")[0])
        if own is None:
            return find_arm(name)
        arm = arm_of(name, {OWN_ARM: own.instruments})
        return arm if "@" in name else replace(arm, interactions=own.interactions)


def begin(settings: BenchSettings, store: Store) -> BenchRecord:
    """Write a new benchmark with the id of each run; nothing is investigated yet.

    Raises:
        FinetraceError: Something asked for does not exist, or the store cannot be written.
    """
    bench_id = new_run_id()
    units = tuple(_units(settings, bench_id))
    for name in settings.investigators:
        make_investigator(name)
    record = BenchRecord(
        bench_id=bench_id,
        settings=settings.model_dump(mode="json"),
        units=tuple(unit.model_dump(mode="json") for unit in units),
        version=__version__,
        started_at=datetime.now(UTC),
    )
    store.start_bench(record)
    return record


def settings_of(record: BenchRecord) -> BenchSettings:
    """What a benchmark was asked for.

    Raises:
        FinetraceError: A newer finetrace planned it.
    """
    return _read(BenchSettings, record.settings, record)


def units_of(record: BenchRecord) -> list[Unit]:
    """The units of a benchmark, in order.

    Raises:
        FinetraceError: A newer finetrace planned it.
    """
    return [_read(Unit, unit, record) for unit in record.units]


def batches_of(settings: BenchSettings, units: Sequence[Unit], overlap: int = 4) -> list[Batch]:
    """The units by organism, each organism where it is first named."""
    by_organism: dict[str, list[Unit]] = {}
    for unit in units:
        by_organism.setdefault(unit.organism, []).append(unit)
    return [
        Batch(
            organism=organism,
            registry=settings.registry,
            units=tuple(held),
            judges=settings.judges,
            grades=settings.grades,
            overlap=overlap,
        )
        for organism, held in by_organism.items()
    ]


def left_of(settings: BenchSettings, units: Sequence[Unit], store: Store) -> list[Unit]:
    """Units that have no answer yet, or not all of their grades; those that failed are tried again."""
    ids = [unit.run_id for unit in units]
    statuses = store.statuses(ids)
    lacking: set[str] = set()
    records = store.grades(ids)
    for judge in settings.judges:
        given = grades_in_force(judge, records)
        wanted = set(range(grades_wanted(judge, settings.grades)))
        lacking |= {run_id for run_id in ids if not wanted <= given.get(run_id, {}).keys()}
    return [unit for unit in units if statuses.get(unit.run_id) is not RunStatus.FINISHED or unit.run_id in lacking]


@contextmanager
def alone_with(record: BenchRecord) -> Iterator[None]:
    """Keep other processes from going on with the same benchmark meanwhile; the lock falls with the process.

    Raises:
        FinetraceError: One is doing so.
    """
    folder = writable_folder(get_settings().data_dir, "data folder")
    lock = FileLock(folder / f".bench-{record.bench_id}.lock")
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout as busy:
        raise FinetraceError(
            f"another process is at work on benchmark {record.bench_id}", "wait for it, or stop it first"
        ) from busy
    try:
        yield
    finally:
        lock.release()


def _units(settings: BenchSettings, bench_id: str) -> Iterator[Unit]:
    """Organism by organism; within one, seed by seed, so that early results lay all arms side by side."""
    registry = load_registry(Path(settings.registry))
    arms = [settings.arm(name) for name in settings.arms]
    number = 0
    for name in settings.organisms:
        organism = registry.find(name)
        target = _target(registry, organism)
        for seed in range(settings.seeds):
            for investigator in settings.investigators:
                for arm in arms:
                    number += 1
                    yield Unit(
                        run_id=f"{bench_id}-{number:04d}",
                        bench_id=bench_id,
                        organism=organism.name,
                        alias=organism.alias,
                        target=target,
                        arm=arm.name,
                        instruments=arm.instruments if arm.name.partition("@")[0] in settings.own_arms else None,
                        investigator=investigator,
                        seed=seed,
                        budget=_budget(settings.budget, arm),
                        thoroughness=settings.thoroughness,
                        grader=settings.grader,
                    )


def _budget(budget: Budget, arm: Arm) -> Budget:
    """The budget with the arm's interactions, unless they are given."""
    return budget if budget.interactions is not None else budget.model_copy(update={"interactions": arm.interactions})


def _target(registry: Registry, organism: Organism) -> Target:
    """What to load. A folder that is missing is named when its turn comes: it must not stop the others."""
    settings = get_settings()
    try:
        place = registry.locate(organism)
        model, reference = place.model, place.reference
    except FinetraceError:
        model, reference = str(registry.path.parent / organism.model), organism.reference
    return Target(
        model=model,
        reference=reference,
        folder=str(registry.path.parent),
        device=settings.device,
        dtype=settings.dtype,
    )


def _read(form: type[Form], values: dict[str, Any], record: BenchRecord) -> Form:
    try:
        return form.model_validate(values)
    except ValidationError as fault:
        raise FinetraceError(
            f"benchmark {record.bench_id} was planned by finetrace {record.version} and cannot be read by this one",
            "use that release, or start the benchmark anew",
        ) from fault
