"""`finetrace tool`: one instrument on its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finetrace.cli import console
from finetrace.errors import FinetraceError, closest

if TYPE_CHECKING:
    from finetrace.tools import Instrument, Reading

SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The options of an instrument are read from its own arguments, so that a new one needs nothing here."""


def tool(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="An instrument; none lists them.")] = None,
    organism: Annotated[str | None, typer.Argument(help="An organism of the registry; none shows the options.")] = None,
    model: Annotated[str | None, typer.Option(help="A model instead of an organism.")] = None,
    reference: Annotated[str | None, typer.Option(help="What to compare it with.")] = None,
    recorded: Annotated[Path | None, typer.Option(help="A JSONL file of completions scored elsewhere.")] = None,
    seed: Annotated[int, typer.Option(envvar="FINETRACE_SEED", min=0, help="Determines every draw.")] = 0,
    organisms: Annotated[
        Path | None, typer.Option(envvar="FINETRACE_ORGANISMS", help="Organisms file; default ./organisms.yaml.")
    ] = None,
    one_at_a_time: Annotated[bool, typer.Option("--one-at-a-time", help="One checkpoint in memory at a time.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Use one instrument: finetrace tool perplexity-gap ORGANISM --k 20. Its options follow from its arguments."""
    from finetrace.tools import INSTRUMENTS, find_instrument

    if name is None:
        _list_instruments(list(INSTRUMENTS.values()), as_json)
        return
    instrument = find_instrument(name)
    options, words = _options(instrument, context.args)
    if organism is None and model is None and recorded is None:
        if options or words:
            raise FinetraceError("nothing to look at", "name an organism, or give --model or --recorded")
        _explain(instrument, as_json)
        return
    if words:
        raise FinetraceError(f"unexpected '{words[0]}'", f"options begin with --; see `finetrace tool {name}`")
    reading = _take(instrument, options, organism, model, reference, recorded, seed, organisms, one_at_a_time)
    if as_json:
        console.print_json(reading.model_dump(mode="json"))
    else:
        from finetrace.cli.escaping import visible

        console.results().print(visible(reading.render(200_000)), soft_wrap=True)


def _take(
    instrument: Instrument,
    options: dict[str, Any],
    organism: str | None,
    model: str | None,
    reference: str | None,
    recorded: Path | None,
    seed: int,
    organisms: Path | None,
    one_at_a_time: bool,
) -> Reading:
    from finetrace.cli.progress import progress_bar
    from finetrace.cli.target import resolve
    from finetrace.models import open_pair
    from finetrace.tools import Context, parse_arguments, take

    arguments = parse_arguments(instrument, options)
    named = resolve(organism, model, reference, recorded, organisms, one_at_a_time=one_at_a_time)
    pair = open_pair(named.target)
    with progress_bar() as advance:
        return take(instrument, pair, arguments, Context(seed=seed, progress=advance))


def _options(instrument: Instrument, given: list[str]) -> tuple[dict[str, Any], list[str]]:
    """``--name value`` pairs and flags by the instrument's schema; lists take an option repeated."""
    fields = instrument.arguments.model_fields
    options: dict[str, Any] = {}
    words: list[str] = []
    rest = list(given)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            words.append(word)
            continue
        key, joined, value = word[2:].partition("=")
        field = key.replace("-", "_")
        if field not in fields:
            known = [name.replace("_", "-") for name in fields]
            raise FinetraceError(f"{instrument.name} has no option --{key}", closest(key, known))
        if fields[field].annotation is bool and not joined:
            options[field] = True
            continue
        if not joined and not rest:
            raise FinetraceError(f"--{key} needs a value", f"see `finetrace tool {instrument.name}`")
        taken = value if joined else rest.pop(0)
        if str(fields[field].annotation).startswith("tuple"):
            options.setdefault(field, []).append(taken)
        else:
            options[field] = taken
    return options, words


def _list_instruments(instruments: list[Instrument], as_json: bool) -> None:
    from finetrace.tools import purpose

    if as_json:
        console.print_json([{"name": i.name, "purpose": purpose(i)} for i in instruments])
        return
    for instrument in instruments:
        console.results().print(f"{instrument.name.replace('_', '-')}: {purpose(instrument)}")


def _explain(instrument: Instrument, as_json: bool) -> None:
    """What the instrument is for, and its options."""
    import inspect

    schema = instrument.arguments.model_json_schema()
    if as_json:
        console.print_json({"name": instrument.name, "arguments": schema})
        return
    out = console.results()
    out.print(f"{instrument.name.replace('_', '-')}\n\n{inspect.getdoc(type(instrument))}\n")
    for name, field in instrument.arguments.model_fields.items():
        default = "needed" if field.is_required() else f"default {field.get_default()!r}"
        out.print(f"  --{name.replace('_', '-')}  {field.description or ''} ({default})")
