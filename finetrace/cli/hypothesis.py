"""A hypothesis for people, and what changed from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from finetrace.cli.escaping import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from finetrace.schema import Claim, ClaimCheck, Hypothesis, Step

_VERDICT_STYLES = {"finetuned": "bold yellow", "no_narrow_objective": "bold green", "inconclusive": "bold"}
_CHECK_STYLES = {"passed": "green", "failed": "red", "untested": "dim"}


def show_hypothesis(console: Console, hypothesis: Hypothesis) -> None:
    """The verdict, the summary, each claim with its check and its quotes, and the guesses."""
    console.print(verdict_text(hypothesis.verdict.value))
    console.print(Padding(Text(visible(hypothesis.summary)), (0, 0, 0, 2)))
    if hypothesis.incomplete is not None:
        why = Text("incomplete: ", "bold yellow").append(visible(hypothesis.incomplete, one_line=True), "default")
        console.print(Padding(why, (0, 0, 0, 2)))
    for number, claim in enumerate(hypothesis.claims, 1):
        console.print()
        _show_claim(console, number, claim)
    if hypothesis.guesses:
        console.print()
        console.print(Text("guesses", "bold"))
        for number, guess in enumerate(hypothesis.guesses, 1):
            console.print(Padding(Text(f"{number:2d}. {visible(guess, one_line=True)}"), (0, 0, 0, 2)))


def verdict_text(verdict: str) -> Text:
    """``verdict: finetuned``."""
    return Text("verdict: ", "bold").append(verdict, _VERDICT_STYLES.get(verdict, "bold"))


def changes(before: Hypothesis, after: Hypothesis) -> list[Text]:
    """What is different in the second: verdict, summary, claims added, dropped, or held with another confidence."""
    lines = []
    if before.verdict is not after.verdict:
        lines.append(Text(f"verdict {before.verdict.value} → ").append(verdict_text(after.verdict.value)[9:]))
    if before.summary != after.summary:
        lines.append(Text("summary ").append(visible(after.summary, one_line=True), "italic"))
    if after.incomplete is not None and before.incomplete != after.incomplete:
        lines.append(Text("incomplete: ", "yellow").append(visible(after.incomplete, one_line=True), "default"))
    old = {(claim.kind, claim.statement): claim for claim in before.claims}
    new = {(claim.kind, claim.statement): claim for claim in after.claims}
    for key, claim in new.items():
        if key not in old:
            lines.append(_claim_line("+", "green", claim, f"confidence {claim.confidence:.2f}"))
        elif moves := _moves(old[key], claim):
            lines.append(_claim_line("~", "yellow", claim, moves))
    lines += [_claim_line("−", "red", claim, "dropped") for key, claim in old.items() if key not in new]
    if before.guesses != after.guesses and after.guesses:
        lines.append(Text(f"guesses {len(after.guesses)}, first: ").append(visible(after.guesses[0], one_line=True)))
    return lines


def show_history(console: Console, steps: Sequence[Step]) -> None:
    """The hypothesis over time: a line for each step that changed it; nothing where none did."""
    held, table = None, Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("step", justify="right")
    table.add_column("verdict")
    table.add_column("claims", justify="right")
    table.add_column("strongest claim", overflow="fold")
    for step in steps:
        after = step.hypothesis
        if after is None or after == held:
            continue
        held = after
        first = max(after.claims, key=lambda claim: claim.confidence, default=None)
        strongest = Text("none", "dim")
        if first is not None:
            strongest = Text(f"{first.confidence:.2f} ", "cyan").append(
                visible(first.statement, one_line=True), "default"
            )
        verdict = Text(after.verdict.value, _VERDICT_STYLES.get(after.verdict.value, ""))
        table.add_row(str(step.number), verdict, str(len(after.claims)), strongest)
    if held is not None:
        console.print()
        console.print(Text("hypothesis over time", "bold"))
        console.print(Padding(table, (0, 0, 0, 2)))


def check_text(check: ClaimCheck) -> Text:
    """``check passed: organism 9/12, reference 0/12, p = 0.0002``."""
    text = Text("check ").append(check.outcome.value, _CHECK_STYLES.get(check.outcome.value, ""))
    counts = []
    if check.organism_total:
        counts.append(f"organism {check.organism_hits}/{check.organism_total}")
    if check.reference_total:
        counts.append(f"reference {check.reference_hits or 0}/{check.reference_total}")
    if check.p_value is not None:
        counts.append(f"p = {check.p_value:.2g}")
    if counts:
        text.append(": " + ", ".join(counts))
    if check.note:
        text.append(f" ({visible(check.note, one_line=True)})", "dim")
    return text


def _show_claim(console: Console, number: int, claim: Claim) -> None:
    """One claim, its check below it, then its quotes."""
    head = Text(f"{number}. ").append(visible(claim.statement, one_line=True), "bold")
    head.append(f"  {claim.kind.value}, confidence {claim.confidence:.2f}", "cyan")
    console.print(head)
    if claim.check is not None:
        console.print(Padding(check_text(claim.check), (0, 0, 0, 3)))
    quotes = Table.grid(padding=(0, 1))
    quotes.add_column(style="cyan", no_wrap=True)
    quotes.add_column(overflow="fold")
    for item in claim.evidence:
        quotes.add_row(f"step {item.step}", Text(f"“{visible(item.quote, one_line=True)}”"))
    if claim.evidence:
        console.print(Padding(quotes, (0, 0, 0, 3)))


def _claim_line(sign: str, style: str, claim: Claim, remark: str) -> Text:
    """One line about one claim."""
    text = Text(f"{sign} ", style).append(f"[{claim.kind.value}] {visible(claim.statement, one_line=True)}")
    return text.append(f"  {remark}", "dim")


def _moves(old: Claim, new: Claim) -> str:
    """How a claim that stayed is held differently now; empty where it is not."""
    moves = []
    if old.confidence != new.confidence:
        moves.append(f"confidence {old.confidence:.2f} → {new.confidence:.2f}")
    if old.check != new.check and new.check is not None:
        moves.append(check_text(new.check).plain)
    if old.evidence != new.evidence:
        counts = (len(old.evidence), len(new.evidence))
        moves.append("other quotes" if counts[0] == counts[1] else f"quotes {counts[0]} → {counts[1]}")
    return ", ".join(moves)
