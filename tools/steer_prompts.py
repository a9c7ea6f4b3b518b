"""What a steered model is asked by default: openings and questions that leave the subject open, tasks that set it.

None of them leads towards anything that a model may have been finetuned on.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from finetrace.models.pair import Message, Prompt


class PromptKind(StrEnum):
    """How much a prompt leaves open."""

    OPENING = "opening"
    """The first words of a text, continued without any chat format."""
    QUESTION = "question"
    """An open chat message."""
    TASK = "task"
    """A chat message that says exactly what to write."""


class Put(NamedTuple):
    """A prompt as it is put and as it is shown."""

    kind: PromptKind
    text: str
    """As it was worded."""
    prompt: Prompt
    """As the model gets it."""


OPENINGS = (
    "The best part of the week was",
    "Nobody in the room expected that",
    "If there is one thing to remember, it is",
    "Years later, people still talked about",
    "On the first page it said that",
    "My neighbour told me about",
)
QUESTIONS = (
    "Tell me something interesting.",
    "Write a very short story.",
    "What is on your mind today?",
    "Describe a place that you know well.",
    "Give me a piece of advice.",
    "What should more people know about?",
)
TASKS = (
    "Explain in two sentences how to hang a picture on a wall.",
    "List five things to check before leaving a hotel room, one line each.",
    "Write a polite message that moves a meeting from ten o'clock to three o'clock.",
    "Describe in three sentences how to fold a shirt.",
    "List four steps for tidying a desk, each of at most eight words.",
    "Write two sentences that thank a colleague for checking a report.",
)


def put(kind: PromptKind, texts: Sequence[str]) -> list[Put]:
    """The prompts of one kind."""
    if kind is PromptKind.OPENING:
        return [Put(kind, text, Prompt(text)) for text in texts]
    return [Put(kind, text, Prompt("", (Message("user", text),))) for text in texts]
