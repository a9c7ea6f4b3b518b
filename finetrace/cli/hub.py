"""`finetrace organisms check --hub`: are the published models still there?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from finetrace.cli import console
from finetrace.errors import FinetraceError, WorkError

if TYPE_CHECKING:
    from finetrace.evals.zoo.hub import HubFinding


def show_hub(names: Sequence[str], file: Path | None, as_json: bool) -> None:
    """Ask the hub about organisms and print what it says.

    Args:
        names: Names, families or patterns; none means all of the file.
        file: Organisms file, or none for the default.
        as_json: Print a JSON array instead of a table.

    Raises:
        FinetraceError: No such organism, or the hub cannot be reached.
        WorkError: The registry says something of a model that the hub denies.
    """
    from finetrace.cli.progress import progress_bar
    from finetrace.evals.zoo.hub import check_hub
    from finetrace.registry import load_registry

    registry = load_registry(file)
    organisms = registry.select(names)
    with progress_bar(console.remarks()) as advance:
        found = check_hub(
            organisms, lambda done, total: advance("asking the hub", done, total), folder=registry.path.parent
        )
    if not found:
        raise FinetraceError("none of these organisms lies on the hub", "name others, or leave --hub out")
    if as_json:
        console.print_json([finding._asdict() for finding in found])
    else:
        _show_table(found)
    faults = [finding.name for finding in found if finding.is_fault]
    if faults:
        raise WorkError(
            f"{len(faults)} of {len(found)} models are not on the hub as {registry.path} says: {', '.join(faults[:3])}"
            + (" …" if len(faults) > 3 else ""),
            "correct their entries, or take them out",
        )


def _show_table(found: Sequence[HubFinding]) -> None:
    """A line for each model that is not simply there, and a count of all."""
    from rich.table import Table
    from rich.text import Text

    from finetrace.cli.escaping import visible
    from finetrace.evals.zoo.hub import HubState

    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for column in ("name", "model", "state", "remark"):
        table.add_column(column, overflow="fold")
    shown = found if len(found) <= 20 else [each for each in found if each.state is not HubState.FOUND]
    for each in shown:
        model = each.model if each.subfolder is None else f"{each.model}:{each.subfolder}"
        cells = (each.name, model, each.state.value.replace("_", " "), each.remark)
        table.add_row(*(Text(visible(cell, one_line=True)) for cell in cells))
    if shown:
        console.results().print(table)
    counts = Counter(each.state.value.replace("_", " ") for each in found)
    console.results().print(
        f"{len(found)} models asked for: " + ", ".join(f"{n} {state}" for state, n in counts.items())
    )
