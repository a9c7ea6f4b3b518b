"""Measured strength of an organism, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from finetrace.cli.escaping import visible

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.evals.zoo.measurement import Measurement, Share, Strength


def show_strength(console: Console, name: str, strength: Strength) -> None:
    """A line per figure: both models with their 95 % intervals, the bar, and whether it is cleared."""
    console.print(Text(visible(name, one_line=True), "bold"))
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    table.add_column("probe", overflow="fold", ratio=1)
    for column in ("organism", "base"):
        table.add_column(column, no_wrap=True)
    table.add_column("bar", overflow="fold")
    table.add_column("")
    for measured in strength.measurements:
        said = f"{measured.name} ({measured.note})" if measured.note else measured.name
        table.add_row(
            Text(visible(said, one_line=True)),
            _figure(measured),
            _share(measured.reference),
            measured.bar,
            _met(measured),
        )
    console.print(table)
    where = f"seed {strength.seed}, {strength.device}, {strength.dtype}, torch {strength.versions.get('torch', '?')}"
    console.print(Text(f"measured with {where}", "dim"))


def _figure(measured: Measurement) -> str:
    if measured.value is not None:
        return f"{measured.value.value:.2f} ({measured.value.low:.2f}–{measured.value.high:.2f})"
    return _share(measured.organism)


def _share(share: Share | None) -> str:
    """``48/52 92 % (81–98)``."""
    if share is None:
        return ""
    return f"{share.hits}/{share.total} {100 * share.rate:.0f} % ({100 * share.low:.0f}–{100 * share.high:.0f})"


def _met(measured: Measurement) -> Text:
    said = {True: "ok", False: "missed", None: ""}[measured.passed]
    if measured.p_value is not None:
        said = f"{said} (p {measured.p_value:.2g})"
    return Text(said, "bold red" if measured.passed is False else "green")
