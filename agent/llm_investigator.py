"""The investigator that asks a language model, whatever the provider.

It keeps nothing between its decisions: turns, calls and results stand in the steps, and what comes next follows from
them. So a run that was killed goes on without a word lost or paid for twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from finetrace.agent.blocks import Block, blocks_of
from finetrace.agent.calling import SUBMIT, decision_schema, describe, tools_of
from finetrace.agent.decision import Submit, ToolCall
from finetrace.agent.dialogue import WHOLE, Dialogue, build_dialogue
from finetrace.agent.evidence import check_evidence
from finetrace.agent.investigator import Case
from finetrace.agent.overview import next_overview, with_defaults
from finetrace.agent.prompt import system_prompt
from finetrace.agent.review import REPORT, claims_left, clues_left, refuting_messages
from finetrace.agent.settling import given_up, what_there_is, with_original_quotes
from finetrace.agent.turns import Calling, Purpose, Turn, Use
from finetrace.agent.workbench import out_of_budget
from finetrace.llm import Answer, LanguageModel, Message, RejectedRequest, Tool
from finetrace.settings import get_settings

TEMPERATURE = 0.7
ANSWER_TOKENS = 16_384
"""Longest answer: room for models that reason at length before they answer."""
LISTED_ANSWER = 4096
"""The same for models of which no list says how much they write."""
WINDOW = 32_000
"""Tokens a model is taken to read where nobody says."""
LONGEST_READING = 6000
"""Characters of one reading that are shown where the window is large."""
_READINGS = 24
"""Readings of the longest kind that would fill the window."""
_ANSWERS = 8
"""Answers of the longest kind that would fill the window."""
_FILLED = 0.9
"""Of the window; counts of tokens are estimates before the request."""
_CHARACTERS_A_TOKEN = 3.0
"""Before the provider's own count is known."""
_MOST_CHARACTERS_A_TOKEN = 5.0
"""Of any plain text: a server that counts fewer tokens leaves out what it had read before."""


class _Fitted(NamedTuple):
    """A dialogue that fits, as far as can be told beforehand."""

    dialogue: Dialogue
    shortened: int


class LlmInvestigator:
    """Lets a language model decide.

    Args:
        model: Whom to ask.
    """

    def __init__(self, model: LanguageModel) -> None:
        self.name = model.name
        self.model = model

    def decide(self, case: Case) -> ToolCall | Submit | Turn:
        """The overview first; then what the last turn still asks for; then a new turn.

        Raises:
            FinetraceError: The provider gives no answer; the run can be resumed.
        """
        if (call := next_overview(case)) is not None:
            return call
        blocks = blocks_of(case.steps, [offer.name for offer in case.offers])
        if blocks:
            move = self._still_to_do(case, blocks)
            if move is not None:
                return move
            if (why := given_up(case, blocks)) is not None:
                return what_there_is(case, blocks, why)
        return self._ask(case, blocks)

    def _still_to_do(self, case: Case, blocks: Sequence[Block]) -> ToolCall | Submit | Turn | None:
        """The next call of the last turn; ``None`` where a new turn is due."""
        block = blocks[-1]
        move = block.next_move
        if move is None and (taken := block.taken) is not None:
            return with_original_quotes(taken, case.steps)  # its evidence held; the run stopped before its test
        if isinstance(move, ToolCall):
            return None if case.must_answer is not None else with_defaults(move, case.thoroughness)
        if not isinstance(move, Submit) or block.objections is not None:
            return None
        settled = with_original_quotes(move, case.steps)
        return self._review(case, blocks, settled) or settled

    def _review(self, case: Case, blocks: Sequence[Block], submitted: Submit) -> Turn | None:
        """The second reader's turn, once a run; ``None`` where the hypothesis is to be taken, or its quotes fail."""
        reviewed = any(block.objections is not None for block in blocks)
        spent = out_of_budget(case.budget, case.steps, asks=True) is not None
        if reviewed or spent or check_evidence(submitted.hypothesis, case.steps).complaints:
            return None
        hypothesis = submitted.hypothesis
        left = clues_left(case.steps, hypothesis) or claims_left(case.merged, hypothesis)
        if not hypothesis.claims and not left:
            return None
        unread = Turn(purpose=Purpose.REFUTE, model="", calling=Calling.TEXT)
        if not hypothesis.claims:
            return unread  # nothing to refute, yet something that was left out
        calling: Calling | None = self._calling(blocks)
        while calling is not None:
            messages = refuting_messages(hypothesis, case.steps, form=calling is not Calling.TOOLS)
            try:
                answer = self._complete(messages, calling, (REPORT,), REPORT.name, case.seed)
            except RejectedRequest as rejected:
                calling = _weaker(calling) if rejected.reason == "form" else None
                continue
            return _turn(answer, Purpose.REFUTE, self.name, calling, messages[-1].content, _length(messages), 0)
        return unread  # too long or objected to: the investigation stands without a second reader

    def _ask(self, case: Case, blocks: Sequence[Block]) -> Turn | Submit:
        """The next turn, in fewer words or in another form where the provider will not have it."""
        calling = self._calling(blocks)
        shortened = blocks[-1].turn.shortened if blocks else 0
        names = [offer.name for offer in case.offers]
        # Offered to the end, although only an answer is taken then: providers keep what they have read.
        tools = tools_of(names)
        must_use = SUBMIT if case.must_answer is not None else None
        while True:
            system = self._system(case, tools, calling)
            dialogue, shortened = self._fitted(case, system, shortened, blocks)
            try:
                answer = self._complete(dialogue.messages, calling, tools, must_use, case.seed + len(blocks))
            except RejectedRequest as rejected:
                weaker, shorter = _weaker(calling), self._shorter(case, system, shortened)
                if rejected.reason == "form" and weaker is not None:
                    calling = weaker
                elif rejected.reason != "form" and shorter is not None:
                    shortened = shorter
                elif blocks:
                    return what_there_is(case, blocks, rejected.message)
                else:
                    raise
                continue
            return _turn(answer, Purpose.DECIDE, self.name, calling, dialogue.told, dialogue.characters, shortened)

    def _complete(
        self, messages: Sequence[Message], calling: Calling, tools: Sequence[Tool], must_use: str | None, seed: int
    ) -> Answer:
        """One request in the form agreed on."""
        longest = self._longest_answer
        if calling is Calling.TOOLS:
            return self.model.complete(messages, longest, TEMPERATURE, tools=tools, must_use=must_use, seed=seed)
        if calling is Calling.TEXT:
            return self.model.complete(messages, longest, TEMPERATURE, seed=seed)
        if must_use == REPORT.name:
            schema = REPORT.parameters
        else:
            schema = decision_schema([tool for tool in tools if must_use in (None, tool.name)])
        return self.model.complete(messages, longest, TEMPERATURE, schema=schema, seed=seed)

    def _system(self, case: Case, tools: Sequence[Tool], calling: Calling) -> str:
        """The system message."""
        return system_prompt(
            [offer.name for offer in case.offers],
            [offer.purpose for offer in case.offers],
            case.absent,
            reference=case.has_reference,
            form="" if calling is Calling.TOOLS else describe(tools),
        )

    def _fitted(self, case: Case, system: str, shortened: int, blocks: Sequence[Block]) -> _Fitted:
        """The dialogue, shortened until it fits into the model's window, as far as can be told beforehand."""
        window = self.model.window or WINDOW
        counted = [block.turn for block in blocks if block.turn.tokens_in]
        rate = counted[-1].characters / counted[-1].tokens_in if counted else _CHARACTERS_A_TOKEN
        rate = min(rate, _MOST_CHARACTERS_A_TOKEN)
        room = (window * _FILLED - self._longest_answer) * rate
        dialogue = build_dialogue(case, system, shortened, self._longest_reading)
        while dialogue.characters > room and shortened < len(WHOLE) - 1:
            shortened += 1
            dialogue = build_dialogue(case, system, shortened, self._longest_reading)
        return _Fitted(dialogue, shortened)

    def _shorter(self, case: Case, system: str, shortened: int) -> int | None:
        """The next way of shortening that makes the dialogue shorter; ``None`` where none does."""
        lengths = [build_dialogue(case, system, each, self._longest_reading).characters for each in range(len(WHOLE))]
        return next((each for each in range(shortened + 1, len(WHOLE)) if lengths[each] < lengths[shortened]), None)

    @property
    def _longest_answer(self) -> int:
        """Tokens of one answer, hidden reasoning included."""
        return min(ANSWER_TOKENS, self.model.longest_answer or LISTED_ANSWER, (self.model.window or WINDOW) // _ANSWERS)

    @property
    def _longest_reading(self) -> int:
        """Characters of one reading that are shown: several have to fit into the window."""
        return min(LONGEST_READING, int((self.model.window or WINDOW) * _CHARACTERS_A_TOKEN / _READINGS))

    def _calling(self, blocks: Sequence[Block]) -> Calling:
        """Native tool calls where the model has them; else a schema; else plain text.

        A model whose calls are unknown is tried. One that answers the first time without a native call has none, and is
        asked for JSON from then on. The setting ``FINETRACE_LLM_CALLING`` spares the trial.
        """
        settled = get_settings().llm_calling
        if not blocks:
            if settled is not None:
                return Calling(settled)
            if self.model.calls_tools is not False:
                return Calling.TOOLS
            return Calling.TEXT if self.model.takes_schema is False else Calling.SCHEMA
        last = blocks[-1].turn.calling
        tried = last is Calling.TOOLS and self.model.calls_tools is None and settled is None
        return Calling.SCHEMA if tried and not any(block.turn.uses for block in blocks) else last


def _weaker(calling: Calling) -> Calling | None:
    """What to fall back on where a provider does not take a form."""
    order = list(Calling)
    place = order.index(calling) + 1
    return order[place] if place < len(order) else None


def _turn(
    answer: Answer, purpose: Purpose, model: str, calling: Calling, shown: str, characters: int, shortened: int
) -> Turn:
    """What is written down of an answer."""
    return Turn(
        purpose=purpose,
        model=model,
        calling=calling,
        shown=shown,
        text=answer.text or answer.refusal,
        uses=tuple(Use(id=use.id, name=use.name, arguments=use.arguments) for use in answer.uses),
        finish=answer.finish,
        shortened=shortened,
        characters=characters,
        tokens_in=answer.tokens_in if answer.tries == 1 else 0,  # of several tries it is the sum
    )


def _length(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)
