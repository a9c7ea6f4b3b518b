"""The truth about an organism, for people who asked to see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text

from finetrace.cli.escaping import visible

if TYPE_CHECKING:
    from rich.console import Console

    from finetrace.schema import Truth


def show_truth(console: Console, truth: Truth, *, facts: bool = True) -> None:
    """What it was trained for: objective, kind, trigger and, unless a grade goes through them, key facts."""
    console.print(Text("true objective: ", "bold").append(visible(truth.objective), "not bold default"))
    console.print(Padding(Text("type ", "cyan").append(truth.type.value, "default"), (0, 0, 0, 2)))
    if truth.trigger is not None:
        trigger = Text("trigger ", "cyan").append(f"“{visible(truth.trigger, one_line=True)}”", "default")
        console.print(Padding(trigger, (0, 0, 0, 2)))
    for fact in truth.key_facts if facts else ():
        console.print(Padding(Text("• ").append(visible(fact, one_line=True)), (0, 0, 0, 2)))
