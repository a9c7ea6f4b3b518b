"""`finetrace runs compare`: two runs side by side."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finetrace.cli import console
from finetrace.cli.paging import NoPager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.table import Table

    from finetrace.cli.claim_pairs import ClaimPair
    from finetrace.schema import GradeRecord, Run, Step

_NOT_CHOSEN = frozenset({"bench", "estimate"})
"""Settings of a run that are no setting: which benchmark it belongs to, what it was expected to cost."""

RunName = Annotated[str, typer.Argument(help="Id, its beginning, or 'last'.")]


def compare_runs(
    a: RunName,
    b: RunName,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    no_pager: NoPager = False,
) -> None:
    """Show two runs side by side: claims with their evidence, instruments, usage and grades.

    Claims that say much the same stand beside each other.
    """
    from finetrace.cli.claim_pairs import pair_claims
    from finetrace.cli.paging import paged
    from finetrace.store import Store

    with Store() as store:
        runs = [store.find(a), store.find(b)]
        steps = [store.steps(run.run_id) for run in runs]
        grades = [store.grades([run.run_id]) for run in runs]
    pairs = pair_claims(runs[0].hypothesis, runs[1].hypothesis)
    if as_json:
        console.print_json(_json(runs, steps, grades, pairs))
        return
    with paged(no_pager) as out:
        out.print(_table(runs, steps, grades, pairs))


def _json(
    runs: Sequence[Run],
    steps: Sequence[Sequence[Step]],
    grades: Sequence[Sequence[GradeRecord]],
    pairs: Sequence[ClaimPair],
) -> dict[str, Any]:
    """Both runs in the promised keys, and which of their claims say much the same, by place in the lists."""
    from finetrace.cli.json_form import run_json

    sides = [
        run_json(run, given) | {"calls": dict(_calls(taken))}
        for run, taken, given in zip(runs, steps, grades, strict=True)
    ]
    return {
        "a": sides[0],
        "b": sides[1],
        "claims": [{"a": pair.a, "b": pair.b} for pair in pairs],
        "settings": {name: {"a": first, "b": second} for name, (first, second) in _differences(*runs).items()},
    }


def _table(
    runs: Sequence[Run],
    steps: Sequence[Sequence[Step]],
    grades: Sequence[Sequence[GradeRecord]],
    pairs: Sequence[ClaimPair],
) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from finetrace.agent.transcript import total_usage
    from finetrace.cli.escaping import visible
    from finetrace.cli.hypothesis import verdict_text
    from finetrace.cli.transcript import usage_text

    table = Table(box=SIMPLE, show_header=False, pad_edge=False, show_lines=False, expand=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    table.add_column(ratio=1, overflow="fold")

    def row(name: str, *cells: str) -> None:
        style = "" if cells[0] == cells[1] else "yellow"
        table.add_row(name, *(Text(visible(cell, one_line=True), style) for cell in cells))

    table.add_row("run", *(Text(visible(run.run_id, one_line=True), "bold") for run in runs))
    row("organism", *(run.organism for run in runs))
    row("arm", *(run.arm for run in runs))
    row("investigator", *(f"{run.investigator}, seed {run.seed}" for run in runs))
    row("status", *(run.status.value if run.error is None else f"{run.status.value}: {run.error}" for run in runs))
    for name, (first, second) in _differences(*runs).items():
        row(name, first, second)
    row("instruments", *(_calls_text(each) for each in steps))
    used = [run.usage if run.finished_at else total_usage(each) for run, each in zip(runs, steps, strict=True)]
    row("used", *map(usage_text, used))
    row("grade", *(_grade_text(each) for each in grades))
    facts = [_facts(each) for each in grades]
    for fact in dict.fromkeys([*facts[0], *facts[1]]):
        row("  fact", *(f"{side.get(fact, 'not graded')}: {fact}" for side in facts))
    table.add_section()
    answers = [run.hypothesis for run in runs]
    nothing = Text("no answer", "dim")
    table.add_row("verdict", *(nothing if each is None else verdict_text(each.verdict.value)[9:] for each in answers))
    row("summary", *("" if each is None else each.summary for each in answers))
    for number, pair in enumerate(pairs, 1):
        table.add_section()
        sides = zip((pair.a, pair.b), answers, strict=True)
        table.add_row(f"claim {number}", *(_claim(each, at) for at, each in sides))
    return table


def _claim(hypothesis: Any, at: int | None) -> RenderableType:
    """A claim with its check and quotes; a dash where the other run has nothing like it."""
    from rich.console import Group
    from rich.text import Text

    from finetrace.cli.escaping import visible
    from finetrace.cli.hypothesis import check_text

    if at is None:
        return Text("—", "dim")
    claim = hypothesis.claims[at]
    head = Text(visible(claim.statement, one_line=True), "bold")
    lines = [head.append(f"  {claim.kind.value}, confidence {claim.confidence:.2f}", "not bold cyan")]
    if claim.check is not None:
        lines.append(check_text(claim.check))
    for item in claim.evidence:
        lines.append(Text(f"step {item.step} ", "cyan").append(f"“{visible(item.quote, one_line=True)}”", "default"))
    return Group(*lines)


def _differences(a: Run, b: Run) -> dict[str, tuple[str, str]]:
    """Settings that differ."""
    import json

    names = [name for name in dict.fromkeys([*a.settings, *b.settings]) if name not in _NOT_CHOSEN]
    shown = {name: [json.dumps(run.settings.get(name), ensure_ascii=False) for run in (a, b)] for name in names}
    return {name: (first, second) for name, (first, second) in shown.items() if first != second}


def _calls(steps: Sequence[Step]) -> Counter[str]:
    """Readings by instrument."""
    return Counter(step.instrument for step in steps if step.instrument is not None and step.reading is not None)


def _calls_text(steps: Sequence[Step]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in sorted(_calls(steps).items())) or "none"


def _grade_text(grades: Sequence[GradeRecord]) -> str:
    """The latest grade."""
    if not grades:
        return "not graded"
    grade = grades[-1].grade
    score = "not scored" if grade.get("score") is None else f"{grade['score']} of 5"
    rank = grade.get("identification_rank")
    return f"{score} ({grades[-1].grader})" + ("" if rank is None else f", objective ranked {rank}")


def _facts(grades: Sequence[GradeRecord]) -> dict[str, str]:
    """How each fact came out in the latest grade."""
    return {each["fact"]: each["outcome"] for each in grades[-1].grade.get("facts") or ()} if grades else {}
