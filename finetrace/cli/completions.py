"""Ranked completions for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from finetrace.cli.escaping import visible

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.schema import ScoredCompletion

_SHOWN_CHARACTERS = 240


def show_completions(console: Console, completions: Sequence[ScoredCompletion], k: int, *, full: bool = False) -> None:
    """The first ``k`` of a ranking, best first, as they come.

    Args:
        console: Where to.
        completions: Ranked completions.
        k: How many to show; all there are, where there are fewer.
        full: Show each whole instead of its beginning.
    """
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("log ratio\nnats/token", justify="right", no_wrap=True)
    if by_character := any(item.nats_per_char_gap is not None for item in completions):
        table.add_column("nats/\ncharacter", justify="right", no_wrap=True)
    table.add_column("PPL\ndifference", justify="right", no_wrap=True)
    table.add_column("copies", justify="right", no_wrap=True)
    table.add_column("flags", no_wrap=True)
    table.add_column("prefill and completion", overflow="fold", ratio=1)
    for rank, item in enumerate(completions[: max(k, 0)], 1):
        flags = ["repeats"] * item.degenerate + ["short"] * item.short
        per_character = "" if item.nats_per_char_gap is None else f"{item.nats_per_char_gap:+.3f}"
        table.add_row(
            str(rank),
            f"{item.log_ratio:+.3f}",
            *([per_character] if by_character else []),
            f"{item.raw_difference:+.3g}",
            str(item.copies),
            Text("\n".join(flags), "yellow"),
            completion_text(item, full=full),
        )
    console.print(table)
    shown = min(max(k, 0), len(completions))
    console.print(Text(f"{shown} of {len(completions)} completions", "dim"))


def completion_text(item: ScoredCompletion, *, full: bool = False) -> Text:
    """The prefill in dim, then what the model wrote."""
    written = visible(item.completion, one_line=True)
    if not full and len(written) > _SHOWN_CHARACTERS:
        written = written[: _SHOWN_CHARACTERS - 1] + "…"
    return Text(visible(item.prefill, one_line=True), "dim").append(written, "not dim")
