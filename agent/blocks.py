"""The steps of a language model's run, taken apart: the overview, then each turn with what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from finetrace.agent.calling import Entry, read_calls
from finetrace.agent.decision import Submit, ToolCall
from finetrace.agent.evidence import reading_of
from finetrace.agent.inert import comparable
from finetrace.agent.turns import Purpose, Turn, turn_of
from finetrace.schema import Step, StepKind
from finetrace.tools.words import fold_space

_RESULTS = frozenset({StepKind.CALL, StepKind.PROPOSAL})


@dataclass(frozen=True)
class Block:
    """A turn in which the next move was asked for, and the steps until the next such turn."""

    turn: Turn
    entries: tuple[Entry, ...]
    """Its calls as they were read, in order; a text is what is wrong with one."""
    following: tuple[Step, ...]
    """Steps after it."""
    steps: tuple[Step, ...]
    """All steps of the run up to the last of these, its own included."""
    shown: Callable[[str], bool]
    """Whether a text stands in a reading it was shown."""

    @property
    def before(self) -> tuple[Step, ...]:
        """Steps before it."""
        return self.steps[: -1 - len(self.following)]

    @property
    def number(self) -> int:
        """The step that holds the turn."""
        return self.steps[-1 - len(self.following)].number

    @property
    def moves(self) -> list[ToolCall | Submit]:
        """The calls that could be read."""
        return [entry for entry in self.entries if not isinstance(entry, str)]

    @property
    def results(self) -> list[Step]:
        """What came of the calls, in their order, as far as they were carried out."""
        return [step for step in self.following if step.kind in _RESULTS]

    @property
    def objections(self) -> Turn | None:
        """The second reader's turn, where the hypothesis of this one was held back for it."""
        turns = (turn_of(step) for step in self.following)
        return next((turn for turn in turns if turn is not None and turn.purpose is Purpose.REFUTE), None)

    @property
    def taken(self) -> Submit | None:
        """The hypothesis, where it was handed in and all of its evidence held."""
        done = zip(self.moves, self.results, strict=False)
        return next((move for move, step in done if isinstance(move, Submit) and not step.error), None)

    @property
    def next_move(self) -> ToolCall | Submit | None:
        """The first call that was not carried out yet."""
        done = len(self.results)
        return self.moves[done] if done < len(self.moves) else None


def before_turns(steps: Sequence[Step]) -> list[Step]:
    """The steps before the first turn."""
    return list(takewhile(lambda step: step.kind is not StepKind.TURN, steps))


def overview_of(steps: Sequence[Step]) -> list[Step]:
    """What was read before the first turn."""
    return [step for step in before_turns(steps) if step.kind is StepKind.CALL]


def blocks_of(steps: Sequence[Step], names: Sequence[str]) -> list[Block]:
    """Every turn with what came of it.

    Args:
        steps: All steps so far.
        names: Instruments at hand.
    """
    places = [
        place
        for place, step in enumerate(steps)
        if (turn := turn_of(step)) is not None and turn.purpose is Purpose.DECIDE
    ]
    return list(_blocks(steps, places, names))


def _blocks(steps: Sequence[Step], places: Sequence[int], names: Sequence[str]) -> Iterator[Block]:
    for place, end in pairwise([*places, len(steps)]):
        turn = Turn.model_validate(steps[place].reading)
        before = tuple(steps[:place])
        shown = written_by_models(before)
        entries = read_calls(turn.text, turn.uses, names, shown)
        yield Block(turn, entries, tuple(steps[place + 1 : end]), tuple(steps[:end]), shown)


def written_by_models(steps: Sequence[Step]) -> Callable[[str], bool]:
    """Tells whether a text stands in a reading: what an auditor repeats of an organism is no call of its own."""
    texts: list[str] = []

    def shown(text: str) -> bool:
        if not texts:
            readings = (reading_of(step) for step in steps)
            texts.extend(fold_space(comparable(t)) for r in readings if r is not None for t in r.quotable())
            texts.append("")
        wanted = fold_space(comparable(text))
        return bool(wanted) and any(wanted in held for held in texts)

    return shown
