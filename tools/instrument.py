"""The protocol of instruments, and how one is run: checked, cached, with progress."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

import finetrace
from finetrace.errors import ToolError, closest
from finetrace.models.pair import Capability, ModelPair, require
from finetrace.tools.cache import ReadingCache
from finetrace.tools.grading import PROMPT_VERSION, Grader
from finetrace.tools.reading import Reading, one_line

Arguments = TypeVar("Arguments", bound=BaseModel)


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Context:
    """What surrounds a reading."""

    seed: int = 0
    """The run's one seed."""
    cache: ReadingCache = field(default_factory=ReadingCache)
    """Where readings and general text are kept."""
    progress: Callable[[str, int, int], None] = _silent
    """Called with the stage, what of it is done, and what there is in all."""
    grader: Grader | None = None
    """A language model that instruments may ask; ``None`` leaves them to judge by rules."""

    def watch(self, stage: str) -> Callable[[int, int], None]:
        """The progress of one stage."""
        return lambda done, total: self.progress(stage, done, total)


class Instrument(Protocol):
    """A way to look at a pair of models. One file and one line in `finetrace.tools.registry` make a new one.

    The class's docstring is what an investigator reads about it. One that asks the context's grader says so with
    ``uses_grader: ClassVar[bool] = True``.
    """

    name: ClassVar[str]
    """What it is called by."""
    arguments: ClassVar[type[BaseModel]]
    """Its arguments; the fields' descriptions are read by the investigator."""
    reading: ClassVar[type[Reading]]
    """What it hands back."""
    needs: ClassVar[tuple[frozenset[Capability], ...]]
    """Alternatives, each sufficient: what the pair must be able to do."""

    def cost(self, arguments: Any) -> int:
        """Organism interactions that these arguments would use up."""

    def determinants(self, pair: ModelPair, arguments: Any, context: Context) -> dict[str, str]:
        """What else determines the reading, beside weights, arguments, seed and code: digests of files, for example."""

    def run(self, pair: ModelPair, arguments: Any, context: Context) -> Reading:
        """Take the reading.

        Raises:
            ToolError: It cannot be had; the message is for the investigator.
        """


def purpose(instrument: Instrument) -> str:
    """The first line of what an investigator reads about an instrument."""
    return (inspect.getdoc(type(instrument)) or "").partition("\n")[0]


def uses_grader(instrument: Instrument) -> bool:
    """Whether a grader, where there is one, has a say in its readings."""
    return bool(getattr(type(instrument), "uses_grader", False))


def available(instrument: Instrument, pair: ModelPair) -> bool:
    """Whether ``pair`` can do what the instrument needs."""
    return any(needed <= pair.capabilities for needed in instrument.needs)


def parse_arguments(instrument: Instrument, given: dict[str, Any]) -> BaseModel:
    """Check arguments before anything is charged for.

    Raises:
        ToolError: They do not fit; the message names each argument that is wrong.
    """
    return checked_arguments(instrument.name, instrument.arguments, given)


def checked_arguments(name: str, form: type[Arguments], given: dict[str, Any]) -> Arguments:
    """The arguments of anything that an investigator can call.

    Args:
        name: What it is called by.
        form: What its arguments must be.
        given: What they are.

    Raises:
        ToolError: They do not fit; the message names each argument that is wrong.
    """
    try:
        return form.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg'].lower()}" for fault in error.errors()
        )
        known = ", ".join(form.model_fields)
        wrong = next((str(f["loc"][0]) for f in error.errors() if f["type"] == "extra_forbidden"), None)
        hint = closest(wrong, form.model_fields) if wrong else f"arguments: {known}"
        raise ToolError(one_line(f"{name}: {faults}", 1000), hint) from error


def take(instrument: Instrument, pair: ModelPair, arguments: BaseModel, context: Context) -> Reading:
    """Run an instrument, or read its reading from the cache: the same question is never paid for twice.

    Raises:
        ToolError: The pair cannot do it, or the instrument failed.
    """
    if not available(instrument, pair):
        require(pair, instrument.needs[0], instrument.name)
    key = reading_key(instrument, pair, arguments, context)
    if (known := context.cache.read(key, instrument.reading)) is not None:
        return known
    reading = instrument.run(pair, arguments, context)
    context.cache.write(key, reading)
    return reading


def reading_key(instrument: Instrument, pair: ModelPair, arguments: BaseModel, context: Context) -> str:
    """Digest of everything that determines a reading."""
    parts = {
        "instrument": instrument.name,
        "code": code_digest(type(instrument)),
        "pair": pair.fingerprint,
        "capabilities": sorted(pair.capabilities),
        "arguments": arguments.model_dump(mode="json"),
        "seed": context.seed,
        **instrument.determinants(pair, arguments, context),
    }
    if context.grader is not None and uses_grader(instrument):
        parts["grader"] = f"{context.grader.name}, prompts {PROMPT_VERSION}"
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def code_digest(instrument: type) -> str:
    """Digest of the code a reading depends on: the tools and models packages, and the release.

    Whole packages rather than a hand-kept version number: a cached reading is never older than its code.
    """
    digest = hashlib.sha256(f"{finetrace.__version__} {instrument.__qualname__}".encode())
    tools = Path(inspect.getfile(ReadingCache)).parent
    models = Path(inspect.getfile(require)).parent
    files = [*tools.glob("*.py"), *tools.glob("data/*.txt"), *models.glob("*.py")]
    for file in sorted(files, key=lambda path: (path.name, str(path))):
        digest.update(file.read_bytes())
    return digest.hexdigest()
