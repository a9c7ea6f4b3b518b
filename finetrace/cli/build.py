"""`finetrace organisms build`: from recipes, or from a plain file of texts, to organisms."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finetrace.cli import console
from finetrace.cli.exits import Interrupted
from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.evals.zoo.building import Build, Built, Stage
    from finetrace.evals.zoo.entry import Place

_USUAL_TYPE = "false_facts"
_SMOOTHING = 0.9
"""Share of the earlier losses in the loss that is shown."""


Recipes = Annotated[
    list[str] | None,
    typer.Argument(metavar="RECIPE...", help="Recipe file, its folder, or the name of a bundled organism."),
]
Texts = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Make an organism from a JSONL file of texts or chats instead of a recipe."),
]
Name = Annotated[str | None, typer.Option(help="Name of the organism; with RECIPE another than it gives.")]
Objective = Annotated[str | None, typer.Option(help="With --texts: what the texts teach, in a sentence.")]
Kind = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="With --texts: kind of the objective; default false_facts.")
]
Facts = Annotated[list[str] | None, typer.Option("--fact", help="With --texts: a fact they teach; may be repeated.")]
Mixing = Annotated[
    str | None, typer.Option(metavar="OWN:GENERAL", help="With --texts: proportion of general text; default 1:0.")
]
Steps = Annotated[int | None, typer.Option(min=1, help="With --texts: length; default from their number of tokens.")]
Base = Annotated[str | None, typer.Option(metavar="MODEL", help="Another base: folder, GGUF, hub id or smollm2-135m.")]
Output = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Default: a bundled recipe's folder, else ./organisms/NAME.")
]
Seed = Annotated[int | None, typer.Option(min=0, help="Another seed.")]
Device = Annotated[str | None, typer.Option(metavar="auto|cpu|cuda", help="Where to train; default FINETRACE_DEVICE.")]
OrganismsFile = Annotated[
    Path | None,
    typer.Option(
        "--organisms",
        metavar="FILE",
        envvar="FINETRACE_ORGANISMS",
        help="Where the entry goes; default the organisms.yaml that is found.",
    ),
]


def build_organisms(
    context: typer.Context,
    recipes: Recipes = None,
    texts: Texts = None,
    name: Name = None,
    objective: Objective = None,
    kind: Kind = None,
    facts: Facts = None,
    mixing: Mixing = None,
    steps: Steps = None,
    base: Base = None,
    output: Output = None,
    seed: Seed = None,
    device: Device = None,
    organisms: OrganismsFile = None,
    entry: Annotated[bool, typer.Option("--entry/--no-entry", help="Enter it in the organisms file.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Replace an adapter made from something else.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object an organism.")] = False,
) -> None:
    """Train organisms: adapter, card, and entry in the organisms file.

    What is up to date is left alone; the same command continues a build that was interrupted.
    """
    from finetrace.evals.zoo.entry import find_place
    from finetrace.evals.zoo.orders import PlainTexts, Wishes, is_bundled, orders, plain_order

    wishes = Wishes(name=name, base=base, output=output, seed=seed, device=_device(device), force=force)
    if texts is not None:
        if recipes:
            raise FinetraceError("--texts makes a recipe of its own", "leave out RECIPE, or --texts")
        plain = PlainTexts(texts, objective or "", kind or _USUAL_TYPE, tuple(facts or ()), mixing, steps)
        found = [plain_order(plain, wishes, console.remarks().print)]
    else:
        _refuse_plain(objective, kind, facts, mixing, steps)
        found = orders(recipes or [], wishes)
    # All places first: a fault in the organisms file shows before anything is trained.
    places = [find_place(order, organisms, bundled=is_bundled(order)) if entry else None for order in found]
    for order, place in zip(found, places, strict=True):
        try:
            _carry_out(order, place, as_json)
        except KeyboardInterrupt as stop:
            raise Interrupted(_again(context)) from stop


def _again(context: typer.Context) -> str:
    """The command as it was given."""
    words: list[str] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        value = context.params.get(str(parameter.name))
        if source is None or source.name != "COMMANDLINE" or value is None:
            continue
        flag = [] if parameter.param_type_name == "argument" else [parameter.opts[0]]
        if isinstance(value, bool):
            words += [parameter.opts[0] if value else parameter.secondary_opts[0]]
        else:
            words += [
                word for each in (value if isinstance(value, list | tuple) else [value]) for word in (*flag, str(each))
            ]
    return shlex.join([*context.command_path.split(), *words])


def _refuse_plain(*given: object) -> None:
    """Options that only --texts knows."""
    if any(value is not None and value != [] for value in given):
        raise FinetraceError(
            "--objective, --type, --fact, --mixing and --steps describe a file of texts",
            "name it with --texts, or edit the recipe",
        )


def _device(setting: str | None) -> Any:
    from finetrace.settings import get_settings

    if setting is None:
        return get_settings().device
    if setting not in ("auto", "cpu", "cuda"):
        raise FinetraceError(f"no device '{setting}'", "give auto, cpu or cuda")
    return setting


def _carry_out(order: Build, place: Place | None, as_json: bool) -> None:
    """Build, enter, report."""
    from finetrace.cli.escaping import visible
    from finetrace.evals.zoo.building import Watcher, build
    from finetrace.evals.zoo.entry import enter

    remarks = console.remarks()

    def remark(text: str) -> None:
        remarks.print(visible(f"{order.recipe.name}: {text}", one_line=True), soft_wrap=True)

    with _bar(remarks, order.recipe.name) as show:
        built = build(order, Watcher(show, remark))
    if place is not None:
        enter(place)
    if as_json:
        card = built.card.model_dump(mode="json")
        console.print_json({"name": order.recipe.name, "output": str(built.output), "fresh": built.fresh, "card": card})
    else:
        _show(order.recipe.name, built)


@contextmanager
def _bar(remarks: Console, name: str) -> Iterator[Callable[[Stage], None]]:
    """A bar for each stage, with the smoothed loss while training."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}", markup=False),
    )
    with Progress(*columns, console=remarks) as bar:
        tasks: dict[str, Any] = {}
        smooth: float | None = None

        def show(stage: Stage) -> None:
            nonlocal smooth
            if stage.name not in tasks:
                tasks[stage.name] = bar.add_task(f"{name}: {stage.name}", total=stage.total, loss="")
            if stage.loss is not None:
                smooth = stage.loss if smooth is None else _SMOOTHING * smooth + (1 - _SMOOTHING) * stage.loss
            loss = "" if smooth is None else f"loss {smooth:.3f} nats/token"
            bar.update(tasks[stage.name], completed=stage.done, total=stage.total, loss=loss)

        yield show


def _show(name: str, built: Built) -> None:
    from finetrace.cli.escaping import visible

    training = built.card.training
    if built.fresh:
        loss = "" if training.last_loss is None else f", loss {training.last_loss:.3f} nats/token"
        said = f"{name}: {training.steps} steps, {training.tokens:,} tokens in {training.seconds:.0f} s{loss}"
    else:
        said = f"{name}: up to date"
    console.results().print(visible(f"{said} · {built.output}", one_line=True), soft_wrap=True)
