"""The dialogue with a language model, rebuilt from the steps of the run before each request.

Whatever a turn was told stays as it was told, so that providers can keep what they have read; only where the dialogue
nears the model's window are older readings shortened, and then for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from finetrace.agent.blocks import Block, before_turns, blocks_of, overview_of
from finetrace.agent.budget import Budget
from finetrace.agent.decision import Submit
from finetrace.agent.inert import inert
from finetrace.agent.investigator import Case
from finetrace.agent.prompt import FIRST_CALL, HELD_BACK, NO_CALL, NOTHING_READ, OPENING, must_hand_in
from finetrace.agent.review import review_text
from finetrace.agent.transcript import total_usage
from finetrace.agent.workbench import only_answer
from finetrace.llm import Message, ToolUse
from finetrace.schema import Step, StepKind, Usage

WHOLE = (None, 8, 4, 2, 1, 0)
"""Readings that are shown whole, newest first, by how far the dialogue is shortened; ``None`` is all."""
_BRIEF = 200
_SPOKEN = 300
"""Characters that are kept of an answer that was cut off, and of prose where all is shortened that can be."""
_CUT_OFF = frozenset({"length", "content_filter"})


class Dialogue(NamedTuple):
    """What is sent."""

    messages: tuple[Message, ...]
    """In order; the system message comes first."""
    told: str
    """What of it stands in no step of the run yet."""

    @property
    def characters(self) -> int:
        """Length of all messages."""
        return sum(len(m.content) + sum(len(use.arguments) for use in m.uses) for m in self.messages)


def build_dialogue(case: Case, system: str, shortened: int, longest: int) -> Dialogue:
    """The dialogue up to the next turn.

    Args:
        case: The run as it stands.
        system: The system message.
        shortened: How far older readings are shortened, an index of ``WHOLE``.
        longest: Characters of one reading that are shown.
    """
    names = [offer.name for offer in case.offers]
    blocks = blocks_of(case.steps, names)
    utmost = shortened >= len(WHOLE) - 1
    writer = _Writer(case, _shown_whole(case.steps, shortened), longest, utmost=utmost)
    opening = writer.opening()
    messages = [Message("system", system), Message("user", opening)]
    for block in blocks:
        messages += writer.block(block)
    own = writer.own(blocks[-1]) if blocks else "\n\n".join([system, writer.first(), writer.beginning()])
    return Dialogue(tuple(messages), own)


def _shown_whole(steps: Sequence[Step], shortened: int) -> frozenset[int]:
    """Numbers of the readings that are not shortened."""
    read = [step.number for step in steps if step.kind is StepKind.CALL and not step.error]
    newest = WHOLE[min(shortened, len(WHOLE) - 1)]
    return frozenset(read if newest is None else read[len(read) - newest :] if newest else ())


@dataclass(frozen=True)
class _Writer:
    """Puts steps into words."""

    case: Case
    whole: frozenset[int]
    longest: int
    utmost: bool

    def opening(self) -> str:
        """The first user message: the overview, or what stands in its place."""
        readings = [self.reading(step) for step in overview_of(self.case.steps)]
        return "\n\n".join([self.first(), *readings, self.beginning()])

    def beginning(self) -> str:
        """What the first message ends with."""
        before = before_turns(self.case.steps)
        return "\n\n".join([self.status(before), *([FIRST_CALL] if self.reason(before) is None else [])])

    def first(self) -> str:
        """How it begins."""
        opening = OPENING if overview_of(self.case.steps) else NOTHING_READ
        return self.case.briefing or opening.format(alias=self.case.alias)

    def block(self, block: Block) -> Iterator[Message]:
        """A turn and its results."""
        text = block.turn.text
        # An answer that ran on until it was cut off would set an example.
        run_on = not block.moves and block.turn.finish in _CUT_OFF
        if (run_on or (self.utmost and block.turn.uses)) and len(text) > _SPOKEN:
            text = f"{text[:_SPOKEN]}…"
        uses = tuple(ToolUse(use.id, use.name, use.arguments) for use in block.turn.uses)
        yield Message("assistant", text, uses=uses)
        results = self.results(block)
        if not uses:
            yield Message("user", "\n\n".join([*results, self.ending(block)]))
            return
        for i, use in enumerate(uses):
            result = results[i] if i < len(results) else "not carried out: something else was handed in before"
            last = i == len(uses) - 1
            yield Message("tool", f"{result}\n\n{self.ending(block)}" if last else result, use_id=use.id)

    def results(self, block: Block) -> list[str]:
        """What came of each call, in order."""
        done = iter(block.results)
        told = []
        for entry in block.entries:
            if isinstance(entry, str):
                told.append(f"not carried out: {entry}")
            elif (step := next(done, None)) is not None:
                told.append(self.proposal(step) if step.kind is StepKind.PROPOSAL else self.reading(step))
            elif isinstance(entry, Submit) and block.objections is not None:
                told.append(review_text(block, entry, self.case.merged))
            else:
                told.append(f"not carried out: {self.reason(block.steps) or 'the run went on without it'}")
        return told

    def own(self, block: Block) -> str:
        """What is said after a turn and stands in no step: complaints, the review, the status."""
        told = [
            text
            for text, entry in zip(self.results(block), block.entries, strict=True)
            if isinstance(entry, str | Submit)
        ]
        return "\n\n".join([*told, self.ending(block)])

    def ending(self, block: Block) -> str:
        """What a turn's results end with."""
        lines = [self.status(block.steps)]
        if not block.entries:
            lines.insert(0, HELD_BACK if block.turn.finish in _CUT_OFF else NO_CALL)
        return "\n\n".join(lines)

    def reading(self, step: Step) -> str:
        """A step in which something was called."""
        what = " ".join(filter(None, [step.instrument, _about(step)]))
        if step.error:
            return f"step {step.number}, {inert(what)}: no reading: {step.text}"
        head = f"step {step.number}, {inert(what)}"
        longest = self.longest if step.reading is not None else len(step.text)  # a page says what the next one is
        if step.number in self.whole and len(step.text) <= longest:
            return f"{head}:\n<<<\n{step.text}\n>>>"
        room = longest if step.number in self.whole else _BRIEF
        last = step.text.rpartition("\n")[2]
        signal = f"\n{last}" if last.startswith("signal:") else ""
        return f"{head} (shortened; `reread` shows its texts):\n<<<\n{step.text[:room]}…{signal}\n>>>"

    def proposal(self, step: Step) -> str:
        """A hypothesis that was handed in and sent back."""
        return f"step {step.number}, your hypothesis was sent back: {inert(step.error or step.text)}"

    def status(self, steps: Sequence[Step]) -> str:
        """Budgets left after these steps, instruments not used yet, and whether an answer is due."""
        used = total_usage(steps)
        called = {step.instrument for step in steps[len(before_turns(steps)) :]}
        idle = [offer.name for offer in self.case.offers if offer.name not in called]
        line = f"status: {budget_left(self.case.budget, used)}"
        if (reason := self.reason(steps)) is not None:
            return f"{line}\n{must_hand_in(reason)}"
        return f"{line}; not used yet: {', '.join(idle)}" if idle else line

    def reason(self, steps: Sequence[Step]) -> str | None:
        """Why only an answer is taken after these steps."""
        return only_answer(self.case.budget, steps, asks=True)


def budget_left(budget: Budget, used: Usage) -> str:
    """What is left of each bound, and what was used where there is none."""
    left = budget.interactions_left(used)
    parts = [f"{left} of {budget.interactions} interactions left" if left is not None else "interactions unbounded"]
    if budget.llm_calls is not None:
        parts.append(f"{max(0, budget.llm_calls - used.llm_calls)} of {budget.llm_calls} turns left")
    if budget.tokens is not None:
        parts.append(f"{max(0, budget.tokens - used.tokens):,} of {budget.tokens:,} tokens left")
    if budget.tokens_out is not None:
        left_out = max(0, budget.tokens_out - used.tokens_out)
        parts.append(f"{left_out:,} of {budget.tokens_out:,} tokens that you may write left")
    if budget.cost_usd is not None and used.cost_usd is not None:
        parts.append(f"${max(0.0, budget.cost_usd - used.cost_usd):.2f} of ${budget.cost_usd:.2f} left")
    if budget.seconds is not None:
        parts.append(f"{max(0.0, budget.seconds - used.seconds):.0f} of {budget.seconds:.0f} seconds left")
    return ", ".join(parts)


def _about(step: Step) -> str:
    """The argument that tells two calls of an instrument apart."""
    view = step.arguments.get("view")
    return f"({view})" if view else ""
