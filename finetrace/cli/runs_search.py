"""`finetrace runs search`: where something was said, shown or read."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from finetrace.cli import console
from finetrace.cli.paging import NoPager
from finetrace.cli.run_filters import ArmName, Graded, InvestigatorName, OfBench, OfVerdict, Organism, Since, filter_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from finetrace.store import Store
    from finetrace.store.query import Query
    from finetrace.store.searching import Found
    from finetrace.store.words import Place

_AROUND = 70
"""Characters shown on both sides of what was found."""
_SNIPPETS = 2
"""Of one place in one step."""

_MANY = 1000
"""Steps that take a moment to read."""


class PlaceName(StrEnum):
    """Where to look."""

    ANY = "any"
    SAID = "said"
    SHOWN = "shown"
    READING = "reading"


class Snippet(NamedTuple):
    """What was found, with some text around it."""

    before: str
    match: str
    after: str


def search_runs(
    text: Annotated[
        list[str],
        typer.Argument(help="Words that must all occur in one step; '\"in quotes\"' as they stand, bell* any ending."),
    ],
    place: Annotated[
        PlaceName, typer.Option("--in", help="said by the investigator, shown to it, or in the reading besides.")
    ] = PlaceName.ANY,
    organism: Organism = None,
    arm: ArmName = None,
    investigator: InvestigatorName = None,
    verdict: OfVerdict = None,
    grade: Graded = None,
    since: Since = None,
    bench: OfBench = None,
    limit: Annotated[int, typer.Option(min=1, help="Steps to show, the latest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    no_pager: NoPager = False,
) -> None:
    """Find steps by what was said, shown or measured in them."""
    from finetrace.cli.paging import paged
    from finetrace.store import Store
    from finetrace.store.query import parse_query
    from finetrace.store.words import Place

    query = parse_query(" ".join(text))
    places = list(Place) if place is PlaceName.ANY else [Place(place.value)]
    with Store() as store:
        bench_id = None if bench is None else store.find_bench(bench).bench_id
        chosen = filter_of(organism, arm, investigator, verdict, grade, since, bench_id)
        _fill_index(store)
        found = store.search(query, places=places, chosen=chosen, limit=limit + 1)
    more, found = len(found) > limit, found[:limit]
    if as_json:
        console.print_json([_json(each, query, places) for each in found])
    elif found:
        with paged(no_pager) as out:
            for each in found:
                out.print(_head(each))
                for at, snippet in _snippets(each, query, places):
                    out.print(_line(at, snippet), soft_wrap=True)
    else:
        console.remarks().print("no step holds that")
    if more:
        console.remarks().print(f"these are the latest {limit}; --limit shows more")


def _fill_index(store: Store) -> None:
    """Read steps of an earlier finetrace, with a bar where there are many."""
    missing = store.unindexed()
    if missing < _MANY:
        return
    from finetrace.cli.progress import Bars

    with Bars(console.remarks()) as bars:
        done = 0

        def tell(more: int) -> None:
            nonlocal done
            done += more
            bars.advance("search index, made once", done, missing)

        store.fill_index(tell)


def _head(found: Found) -> Text:
    from rich.text import Text

    from finetrace.cli.escaping import visible

    run, step = found
    what = " ".join(part for part in (step.kind.value, step.instrument) if part)
    line = Text(visible(run.run_id, one_line=True), "bold").append(f" step {step.number} ", "bold cyan")
    about = " · ".join((what, run.organism, run.arm, run.investigator))
    return line.append(visible(about, one_line=True), "not bold")


def _line(place: Place, snippet: Snippet) -> Text:
    from rich.text import Text

    from finetrace.cli.escaping import visible
    from finetrace.cli.folding import EVIDENCE

    before, match, after = (visible(part, one_line=True) for part in snippet)
    return Text(f"  {place.value:8}", "dim").append(before, "not dim").append(match, EVIDENCE).append(after, "not dim")


def _json(found: Found, query: Query, places: Sequence[Place]) -> dict[str, Any]:
    """One step with every place of it that holds something."""
    run, step = found
    return {
        "run_id": run.run_id,
        "organism": run.organism,
        "arm": run.arm,
        "investigator": run.investigator,
        "step": step.number,
        "kind": step.kind.value,
        "instrument": step.instrument,
        "matches": [{"in": place.value, **snippet._asdict()} for place, snippet in _snippets(found, query, places)],
    }


def _snippets(found: Found, query: Query, places: Sequence[Place]) -> list[tuple[Place, Snippet]]:
    """The first few matches of each place; a reading that repeats what was shown is left out."""
    from finetrace.store.words import words_of

    words = words_of(found.step)
    snippets: list[tuple[Place, Snippet]] = []
    seen: set[str] = set()
    for place in places:
        text = words.at(place)
        for begin, end in query.spans(text)[:_SNIPPETS]:
            snippet = _cut(text, begin, end)
            if (around := f"{snippet.before[-20:]}{snippet.match}{snippet.after[:20]}") not in seen:
                snippets.append((place, snippet))
            seen.add(around)
    return snippets


def _cut(text: str, begin: int, end: int) -> Snippet:
    first, last = max(0, begin - _AROUND), min(len(text), end + _AROUND)
    before = ("…" if first else "") + text[first:begin]
    return Snippet(before, text[begin:end], text[end:last] + ("…" if last < len(text) else ""))
