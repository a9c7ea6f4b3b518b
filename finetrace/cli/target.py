"""What a command is pointed at: an organism of the registry, models, or a recorded file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.models import Target
    from finetrace.registry import Registry


class Named(NamedTuple):
    """A target and what it is called."""

    organism: str
    """Name in the registry, or as the user wrote it."""
    alias: str
    """Blinded name, all that an investigator sees."""
    target: Target
    registry: Registry | None
    """Where the organism, and elsewhere its truth, was found; ``None`` for models and files."""


def resolve(
    organism: str | None,
    model: str | None,
    reference: str | None,
    recorded: Path | None,
    organisms: Path | None,
    *,
    one_at_a_time: bool = False,
) -> Named:
    """Make one target of the options of a command line.

    Raises:
        FinetraceError: None or several ways to name it were used, or there is no such organism.
    """
    from finetrace.models import Target
    from finetrace.settings import get_settings

    given = [name for name, value in (("ORGANISM", organism), ("--model", model), ("--recorded", recorded)) if value]
    if len(given) != 1:
        what = "nothing to look at" if not given else f"{' and '.join(given)} name different things"
        raise FinetraceError(what, "give an organism (see `finetrace organisms list`), --model, or --recorded")
    settings = get_settings()
    where = {"device": settings.device, "dtype": settings.dtype, "one_at_a_time": one_at_a_time}
    if organism is not None:
        from finetrace.registry import load_registry

        registry = load_registry(organisms)
        entry = registry.find(organism)
        place = registry.locate(entry)
        target = Target(model=place.model, reference=reference or place.reference, folder=str(Path.cwd()), **where)
        return Named(entry.name, entry.alias, target, registry)
    here = str(Path.cwd())
    if recorded is not None:
        if reference:
            raise FinetraceError("a recorded file takes no --reference", "its perplexities are already in it")
        return Named(str(recorded), "organism", Target(recorded=str(recorded), folder=here, **where), None)
    return Named(str(model), "organism", Target(model=model, reference=reference, folder=here, **where), None)
