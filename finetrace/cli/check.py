"""`finetrace organisms check`: how strong organisms are, measured."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.cli import console
from finetrace.errors import FinetraceError, WorkError

if TYPE_CHECKING:
    from finetrace.evals.zoo.checking import Checker
    from finetrace.evals.zoo.measurement import Strength
    from finetrace.evals.zoo.subjects import Found
    from finetrace.models import Target
    from finetrace.registry import Registry

_NAMED_MISSES = 3
"""Figures below their bars that the last line names."""


class Device(StrEnum):
    """Where to run."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def check_organisms(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Names, families or patterns; none means all at hand that have probes."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--organisms",
            metavar="FILE",
            envvar="FINETRACE_ORGANISMS",
            help="Organisms file; default ./organisms.yaml.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(envvar="FINETRACE_SEED", min=0, help="Determines the general text and the intervals on it.")
    ] = 0,
    device: Annotated[Device | None, typer.Option(help="Default FINETRACE_DEVICE.")] = None,
    card: Annotated[bool, typer.Option("--card/--no-card", help="Keep the figures in the organism's card.")] = True,
    hub: Annotated[
        bool, typer.Option("--hub", help="Measure nothing; ask the Hugging Face hub whether the models are there.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """Measure how strong organisms are, on prompts that they were not trained on.

    Facts recalled, answers that show the behaviour, and perplexity on general text, each beside the base, with its
    interval and its bar. Exit code 1 if a bar is missed.
    """
    if hub:
        from finetrace.cli.hub import show_hub

        show_hub(names or (), file, as_json)
        return
    from finetrace.evals.zoo.checking import Checker
    from finetrace.evals.zoo.perplexity import GeneralTexts
    from finetrace.evals.zoo.subjects import find_subject, measurable
    from finetrace.registry import load_registry
    from finetrace.settings import get_settings

    registry = load_registry(file)
    wanted = [organism.name for organism in registry.select(names)] if names else measurable(registry)
    if not wanted:
        raise FinetraceError(f"no organism in {registry.path} has probes", "name the organisms to measure")
    found = [find_subject(registry, name) for name in wanted]
    checker = Checker(GeneralTexts(get_settings().cache_dir, seed), seed)
    missed: list[str] = []
    results = []
    for each in found:
        strength = _measure(checker, each, _target(registry, each, device), seed)
        _keep(each, strength, wanted=card)
        if as_json:
            results.append({"name": each.organism.name, "strength": strength.model_dump(mode="json")})
        else:
            _show(each, strength)
        missed += [f"{each.organism.name}: {figure.name}" for figure in strength.missed]
    if as_json:
        console.print_json(results)
    _complain(missed)


def _target(registry: Registry, found: Found, device: Device | None) -> Target:
    from finetrace.models import Target
    from finetrace.settings import get_settings

    settings = get_settings()
    places = registry.locate(found.organism)
    return Target(
        model=places.model,
        reference=places.reference,
        folder=str(Path.cwd()),
        device=settings.device if device is None else device.value,
        dtype=settings.dtype,
    )


def _measure(checker: Checker, found: Found, target: Target, seed: int) -> Strength:
    """Measure one organism, with a bar for each stage on standard error."""
    from finetrace.cli.escaping import visible
    from finetrace.cli.progress import progress_bar
    from finetrace.evals.zoo.card import versions
    from finetrace.evals.zoo.measurement import Strength
    from finetrace.models import open_pair
    from finetrace.models.device import choose_device, choose_dtype

    name, subject = found.organism.name, found.subject
    if subject.probes is None and not subject.others:
        console.remarks().print(visible(f"{name} has no probes: only its perplexity is measured", one_line=True))
    pair = open_pair(target)
    with progress_bar(console.remarks()) as advance:
        measured = checker.measure(
            pair, subject, lambda stage, done, total: advance(visible(f"{name}: {stage}", one_line=True), done, total)
        )
    where = choose_device(target.device)
    return Strength(
        measurements=measured,
        probes_sha256="" if subject.probes is None else subject.probes.sha256,
        seed=seed,
        device=where,
        dtype=str(choose_dtype(target.dtype, where)).removeprefix("torch."),
        versions=versions(),
    )


def _keep(found: Found, strength: Strength, *, wanted: bool) -> None:
    """Put the figures into the organism's card, where it has one."""
    from finetrace.cli.escaping import visible
    from finetrace.evals.zoo.card import CARD_FILE, read_card, write_card

    if not wanted:
        return
    if found.folder is None or not (found.folder / CARD_FILE).is_file():
        said = f"{found.organism.name} has no card: its figures are shown and not kept"
        console.remarks().print(visible(said, one_line=True))
        return
    card = read_card(found.folder)
    write_card(found.folder, card.model_copy(update={"strength": strength}))


def _show(found: Found, strength: Strength) -> None:
    from finetrace.cli.strength import show_strength

    show_strength(console.results(), found.organism.name, strength)


def _complain(missed: list[str]) -> None:
    """End with exit code 1 where a bar is missed."""
    if not missed:
        return
    named = "; ".join(missed[:_NAMED_MISSES]) + ("; …" if len(missed) > _NAMED_MISSES else "")
    count = "1 figure misses its bar" if len(missed) == 1 else f"{len(missed)} figures miss their bars"
    raise WorkError(f"{count}: {named}", "train such an organism again, or retire it")
