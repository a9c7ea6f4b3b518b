"""`finetrace tool`: one instrument on its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_origin

import typer

from finetrace.cli import console
from finetrace.cli.grader import GraderOption, wanted_grader
from finetrace.cli.language_models import open_grader, tell_usage
from finetrace.cli.organisms import OrganismsFile
from finetrace.errors import FinetraceError, closest

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from finetrace.llm import LanguageModel
    from finetrace.models import Target
    from finetrace.tools import Instrument, Reading

SETTINGS = {"ignore_unknown_options": True}
"""The options of an instrument are read from its own arguments, so that a new one needs nothing here."""
_COMMON = ("model", "reference", "recorded", "seed", "organisms", "one_at_a_time", "grader", "json")
"""Options that every instrument has."""
_WHOLE = 200_000
"""Characters of a reading that are shown: more than a terminal keeps."""
_IRREGULAR = {"corpora": "corpus"}
"""Lists of arguments whose singular is not the plural without its s."""


def tool(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INSTRUMENT ORGANISM --ITS-OPTIONS",
            help="None lists the instruments; an instrument alone shows its options.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model instead of an organism.")] = None,
    reference: Annotated[str | None, typer.Option(help="What to compare it with.")] = None,
    recorded: Annotated[Path | None, typer.Option(help="A JSONL file of completions scored elsewhere.")] = None,
    seed: Annotated[int, typer.Option(envvar="FINETRACE_SEED", min=0, help="Determines every draw.")] = 0,
    organisms: OrganismsFile = None,
    one_at_a_time: Annotated[bool, typer.Option("--one-at-a-time", help="One checkpoint in memory at a time.")] = False,
    grader: GraderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Use one instrument: finetrace tool perplexity-gap ORGANISM --k 20. Its options follow from its arguments."""
    from finetrace.cli.target import resolve
    from finetrace.tools import INSTRUMENTS, find_instrument, parse_arguments

    if not words:
        _list_instruments(list(INSTRUMENTS.values()), as_json)
        return
    name, *rest = words
    if name.startswith("-"):
        raise FinetraceError(f"{name} comes before the instrument", "write `finetrace tool INSTRUMENT …`")
    instrument = find_instrument(name)
    given = _read_words(instrument, rest)
    if given.organism is None and model is None and recorded is None:
        if given.options:
            raise FinetraceError("nothing to look at", "name an organism, or give --model or --recorded")
        _explain(instrument, as_json)
        return
    arguments = parse_arguments(instrument, given.options)
    asked = open_grader(wanted_grader(grader, [instrument], instrument.name, context))
    named = resolve(given.organism, model, reference, recorded, organisms, one_at_a_time=one_at_a_time)
    reading = _take(instrument, arguments, named.target, seed, asked)
    if as_json:
        console.print_json(reading.model_dump(mode="json"))
    else:
        from finetrace.cli.escaping import visible

        console.results().print(visible(reading.render(_WHOLE)), soft_wrap=True)


def _take(
    instrument: Instrument, arguments: BaseModel, target: Target, seed: int, grader: LanguageModel | None
) -> Reading:
    from finetrace.cli.progress import progress_bar
    from finetrace.models import open_pair
    from finetrace.tools import Context, take

    pair = open_pair(target)
    try:
        with progress_bar(console.remarks()) as advance:
            return take(instrument, pair, arguments, Context(seed=seed, progress=advance, grader=grader))
    finally:
        tell_usage(grader)


class _Given(NamedTuple):
    """What the words after the instrument's name say."""

    organism: str | None
    options: dict[str, Any]
    """By the names of the instrument's arguments."""


def _read_words(instrument: Instrument, words: list[str]) -> _Given:
    """An organism, ``--name value`` pairs and flags by the instrument's schema.

    A list takes its option repeated, in the singular (``--corpus own --corpus python``) or under its own name.
    """
    fields = instrument.arguments.model_fields
    by_option = {_option(name, field): name for name, field in fields.items()}
    options: dict[str, Any] = {}
    organism: str | None = None
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            if organism is not None:
                hint = f"options begin with --; see `finetrace tool {instrument.name}`"
                raise FinetraceError(f"unexpected '{word}'", hint)
            organism = word
            continue
        key, joined, value = word[2:].partition("=")
        field = by_option.get(f"--{key}", key.replace("-", "_"))
        if field not in fields:
            known = [*by_option, *(f"--{name.replace('_', '-')}" for name in _COMMON)]
            raise FinetraceError(f"{instrument.name} has no option --{key}", closest(f"--{key}", known))
        if fields[field].annotation is bool and not joined:
            options[field] = True
            continue
        if not joined and not rest:
            raise FinetraceError(f"--{key} needs a value", f"see `finetrace tool {instrument.name}`")
        taken = value if joined else rest.pop(0)
        if _is_list(fields[field]):
            options.setdefault(field, []).append(taken)
        else:
            options[field] = taken
    return _Given(organism, options)


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _option(name: str, field: FieldInfo) -> str:
    """How a field is written on the command line; a list in the singular, as each use adds one value."""
    written = _IRREGULAR.get(name, name.removesuffix("s")) if _is_list(field) else name
    return f"--{written.replace('_', '-')}"


def _list_instruments(instruments: list[Instrument], as_json: bool) -> None:
    from finetrace.tools import purpose

    if as_json:
        console.print_json([{"name": i.name, "purpose": purpose(i)} for i in instruments])
        return
    for instrument in instruments:
        console.results().print(f"{instrument.name.replace('_', '-')}: {purpose(instrument)}", soft_wrap=True)


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
        default = "needed" if field.is_required() else f"default {_shown_default(field)}"
        repeatable = ", repeatable" if _is_list(field) else ""
        out.print(f"  {_option(name, field)}  {field.description or ''} ({default}{repeatable})")


def _shown_default(field: FieldInfo) -> str:
    value = field.get_default()
    return ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value) or "empty"
