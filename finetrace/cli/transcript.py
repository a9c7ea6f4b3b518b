"""A run for people: who, every step, the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from finetrace.cli.escaping import visible
from finetrace.cli.folding import folded, spans_of
from finetrace.cli.hypothesis import changes, show_history, show_hypothesis
from finetrace.cli.json_form import read_conduct
from finetrace.cli.kept_grade import show_record

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.agent.turns import Turn
    from finetrace.schema import GradeRecord, Hypothesis, Run, Step, Usage

_WHOLE = frozenset({"stop", "tool_calls", "function_call"})
"""How an answer ends that ends as it should, in the words of providers."""
_INDENT = (0, 0, 0, 2)


def show_run(
    console: Console, run: Run, steps: Sequence[Step], grades: Sequence[GradeRecord] = (), *, full: bool = False
) -> None:
    """A whole run.

    Args:
        console: Where to.
        run: The run.
        steps: Its steps, in order.
        grades: Its grades, the oldest first.
        full: Show readings whole instead of their first lines.
    """
    from finetrace.schema import null_hypothesis

    show_head(console, run)
    held, quoted = null_hypothesis(), quotes_of(run.hypothesis)
    for step in steps:
        console.print()
        show_step(console, step, held, full=full, quotes=quoted.get(step.number, {}))
        held = step.hypothesis or held
    show_history(console, steps)
    show_end(console, run, steps, grades)


def show_end(console: Console, run: Run, steps: Sequence[Step], grades: Sequence[GradeRecord] = ()) -> None:
    """What came out of a run: the answer, conduct, error, grades and what was used."""
    from finetrace.schema import Usage

    console.print()
    console.print(Rule(Text("answer", "bold"), align="left", characters="═"))
    if run.hypothesis is None:
        console.print(Text(f"none: the run is {run.status.value}", "dim"))
    else:
        show_hypothesis(console, run.hypothesis)
    if (conduct := read_conduct(run, steps)) is not None:
        console.print()
        console.print(Text("conduct", "bold"))
        for line in conduct.lines():
            console.print(Padding(Text(visible(line, one_line=True)), _INDENT))
    if run.error:
        console.print(Text("error: ", "bold red").append(visible(run.error), "not bold default"))
    for grade in grades:
        console.print()
        show_record(console, grade)
    console.print()
    # The sum is written when a run ends; until then its steps know.
    used = run.usage if run.finished_at else sum((step.usage for step in steps), Usage())
    console.print(Text("used: ", "bold").append(usage_text(used), "not bold default"))


def quotes_of(hypothesis: Hypothesis | None) -> dict[int, dict[str, list[int]]]:
    """For each step the quotes that stand in it, each with the numbers of the claims that rest on it."""
    found: dict[int, dict[str, list[int]]] = {}
    for number, claim in enumerate(() if hypothesis is None else hypothesis.claims, 1):
        for evidence in claim.evidence:
            found.setdefault(evidence.step, {}).setdefault(evidence.quote, []).append(number)
    return found


def show_step(
    console: Console, step: Step, before: Hypothesis, *, full: bool = False, quotes: Mapping[str, Sequence[int]] = {}
) -> None:
    """One step: what was thought, called, shown, and what it changed in the hypothesis held before.

    Args:
        console: Where to.
        step: The step.
        before: The hypothesis until then.
        full: Show readings whole.
        quotes: What the answer quotes from it, each with the numbers of the claims that rest on it.
    """
    turn = read_turn(step)
    console.print(Rule(_title(step, turn), align="left"))
    if turn is not None:
        _show_turn(console, turn, full=full)
        return
    if step.thought:
        console.print(Padding(folded(step.thought, full, "italic"), _INDENT))
    for name, value in step.arguments.items():
        shown = json.dumps(value, ensure_ascii=False, default=str)
        line = Text(f"{visible(name, one_line=True)} = ", "cyan").append(visible(shown, one_line=True), "default")
        console.print(Padding(line, _INDENT))
    if step.error:
        console.print(Padding(Text("error: ", "bold red").append(visible(step.error), "default"), _INDENT))
    if step.text and step.text != step.error:
        console.print(Padding(folded(step.text, full, quotes=list(quotes)), _INDENT))
    _show_quotes(console, step, quotes)
    if step.hypothesis is not None:
        lines = changes(before, step.hypothesis) or [Text("unchanged", "dim")]
        console.print(Padding(Text("hypothesis", "bold"), _INDENT))
        for line in lines:
            console.print(Padding(line, (0, 0, 0, 4)))


def _show_quotes(console: Console, step: Step, quotes: Mapping[str, Sequence[int]]) -> None:
    """Which claims of the answer rest on this step, and on which words of it."""
    for quote, numbers in quotes.items():
        claims = f"claim{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
        line = Text(f"▸ evidence for {claims}: ", "yellow")
        line.append(f"“{visible(quote, one_line=True)}”", "default")
        if not spans_of(visible(step.text), [quote]):
            line.append(" (in the part of the reading that was not shown)", "dim")
        console.print(Padding(line, _INDENT))


def read_turn(step: Step) -> Turn | None:
    """The turn of a language model that a step is; ``None`` for other steps, and for what this release cannot read."""
    from finetrace.schema import StepKind

    if step.kind is not StepKind.TURN:
        return None
    from pydantic import ValidationError

    from finetrace.agent.turns import turn_of  # takes seconds: the agent brings torch with it

    try:
        return turn_of(step)
    except ValidationError:
        return None


def usage_text(usage: Usage) -> str:
    """``12 interactions, 3 LLM calls, 4,210 tokens, $0.0123, 8.1 s``; what was not used is left out."""
    parts = []
    if usage.interactions:
        parts.append(f"{usage.interactions:,} interaction{'s' if usage.interactions > 1 else ''}")
    if usage.llm_calls:
        parts.append(f"{usage.llm_calls:,} LLM call{'s' if usage.llm_calls > 1 else ''}")
    if usage.tokens:
        parts.append(f"{usage.tokens:,} tokens")
    if usage.cost_usd is None:
        parts.append("cost unknown")
    elif usage.cost_usd:
        parts.append(f"${usage.cost_usd:.4f}")
    return ", ".join([*parts, f"{usage.seconds:.1f} s"])


def _title(step: Step, turn: Turn | None) -> Text:
    """The line above a step."""
    title = Text(f"step {step.number} ", "bold").append(step.kind.value, "red" if step.kind == "fault" else "cyan")
    if turn is not None:
        title.append(f" {turn.purpose.value} {visible(turn.model, one_line=True)}", "bold cyan")
    elif step.instrument:
        title.append(f" {visible(step.instrument, one_line=True)}", "bold cyan")
    return title.append(f"  {usage_text(step.usage)}", "dim")


def _show_turn(console: Console, turn: Turn, *, full: bool) -> None:
    """What a language model was told, what it wrote, and its calls where the provider tells them apart."""
    for label, text, style in (("told", turn.shown, "default"), ("wrote", turn.text, "italic")):
        if text:
            console.print(Padding(Text(label, "bold dim"), _INDENT))
            console.print(Padding(folded(text, full, style), (0, 0, 0, 4)))
    for use in turn.uses:
        line = Text("→ ", "cyan").append(visible(use.name, one_line=True), "bold cyan")
        arguments = folded(use.arguments, full, "default", one_line=True)
        console.print(Padding(line.append(" ").append_text(arguments), _INDENT))
    if not (turn.text or turn.uses):
        console.print(Padding(Text("wrote nothing", "dim"), _INDENT))
    if turn.finish not in _WHOLE:
        console.print(Padding(Text(f"ended with: {visible(turn.finish, one_line=True)}", "yellow"), _INDENT))
    if turn.shortened:
        console.print(Padding(Text("earlier readings were shortened to fit its window", "dim"), _INDENT))


def show_head(console: Console, run: Run) -> None:
    """Who was investigated, with what, and where it stands."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    target = {name: value for name, value in run.target.items() if value is not None}
    finished = f" to {run.finished_at:%Y-%m-%d %H:%M:%S}" if run.finished_at else ""
    rows = {
        "run": run.run_id,
        "organism": f"{run.organism} (shown to the investigator as {run.alias})",
        "target": json.dumps(target, ensure_ascii=False, default=str),
        "arm": run.arm,
        "investigator": f"{run.investigator}, seed {run.seed}",
        "status": run.status.value,
        "time": f"{run.started_at:%Y-%m-%d %H:%M:%S}{finished} UTC",
        "finetrace": run.version,
    }
    if merges := run.settings.get("merges"):
        rows["merges"] = ", ".join(merges)
    for name, value in rows.items():
        table.add_row(name, Text(visible(value, one_line=True)))
    console.print(table)
