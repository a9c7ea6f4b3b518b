"""The steps of a run as Inspect's messages and events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from inspect_ai.event import InfoEvent, ModelEvent, SampleInitEvent, ToolEvent
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    ModelOutput,
    ModelUsage,
)
from inspect_ai.tool import ToolCall, ToolCallError
from pydantic import ValidationError

from finetrace.agent.turns import Turn, turn_of
from finetrace.schema import Hypothesis, Run, Step, StepKind

QUESTION = "What was this model finetuned for?"
SUBMIT = "submit_hypothesis"
"""The call by which an answer is handed in."""

_STOPS = {"stop", "max_tokens", "model_length", "tool_calls", "content_filter"}
"""Ways for an answer to end that Inspect has a word for."""
_ACTS = frozenset({StepKind.CALL, StepKind.PROPOSAL})


class Dialogue:
    """Messages and events, built step by step.

    Args:
        run: Whose steps.
        model: Name of the investigator as Inspect is told.
        sample: Inspect's `Sample` that the events begin with.
    """

    def __init__(self, run: Run, model: str, sample: Any) -> None:
        self._run, self._model = run, model
        self._pending: list[Any] = []
        self.messages: list[Any] = []
        self.events: list[Any] = [SampleInitEvent(sample=sample, state={}, **self._at("init", run.started_at))]

    def add(self, steps: Sequence[Step]) -> None:
        """Add all steps of the run, in order."""
        if not steps or steps[0].kind is not StepKind.TURN:  # a language model is told in its first turn
            self._hear(QUESTION, "question")
        for at, step in enumerate(steps):
            if step.kind is StepKind.TURN:
                self._add_turn(step, _acts_after(steps, at))
            elif step.kind in _ACTS:
                self._add_act(step)
            elif step.kind is StepKind.ANSWER:
                self._say(answer_text(step.hypothesis) if step.hypothesis else step.text, step, [])
            else:
                self._add_note(step)
            if step.hypothesis is not None:
                data = {"step": step.number, **step.hypothesis.model_dump(mode="json")}
                self._event(InfoEvent, f"hypothesis-{step.number}", step.finished_at, source="hypothesis", data=data)

    def _add_turn(self, step: Step, acts: Sequence[Step]) -> None:
        """What a language model was told and what it wrote; the calls are those that it led to."""
        turn = _readable_turn(step)
        if turn is None:
            self._hear(step.text, f"told-{step.number}")
            self._say(step.thought, step, acts)
            return
        if turn.shown:
            self._hear(turn.shown, f"told-{step.number}")
        about = {"purpose": turn.purpose.value, "finish": turn.finish, "calling": turn.calling.value}
        if turn.uses:
            about["native_calls"] = json.dumps([use.model_dump(mode="json") for use in turn.uses])
        message = self._say(turn.text, step, acts, about)
        stop = turn.finish if turn.finish in _STOPS else "unknown"
        usage = usage_of_turn(step, turn)
        output = ModelOutput(
            model=turn.model or self._model,
            choices=[ChatCompletionChoice(message=message, stop_reason=stop)],
            usage=usage,
            time=step.usage.seconds,
        )
        self._event(
            ModelEvent,
            f"model-{step.number}",
            step.started_at,
            model=turn.model or self._model,
            input=self._pending,
            tools=[],
            tool_choice="auto",
            config=GenerateConfig(),
            output=output,
            completed=step.finished_at,
            working_time=step.usage.seconds,
        )
        self._pending = []

    def _add_act(self, step: Step) -> None:
        """A call of an instrument, or a hypothesis handed in, with what came back."""
        call = _call(step)
        if not self._was_called(call.id):
            self._say(step.thought, step, [step])
        error = None if step.error is None else ToolCallError(type="unknown", message=step.error)
        content = step.text or ("" if step.error is None else step.error)
        self.messages.append(
            ChatMessageTool(
                id=self._id(f"result-{step.number}"),
                content=content,
                tool_call_id=call.id,
                function=call.function,
                error=error,
                metadata={"step": step.number},
            )
        )
        self._pending.append(self.messages[-1])
        self._event(
            ToolEvent,
            f"tool-{step.number}",
            step.started_at,
            id=call.id,
            function=call.function,
            arguments=call.arguments,
            result=content,
            error=error,
            completed=step.finished_at,
            working_time=step.usage.seconds,
            metadata={"step": step.number, "interactions": step.usage.interactions},
        )

    def _add_note(self, step: Step) -> None:
        """A check of the claims, or a fault."""
        data = {"step": step.number, "text": step.text, "error": step.error, "reading": step.reading}
        self._event(InfoEvent, f"note-{step.number}", step.started_at, source=step.kind.value, data=data)
        if text := step.text or step.error:
            self._hear(f"{step.kind.value}: {text}", f"note-{step.number}")

    def _hear(self, text: str, name: str) -> None:
        self.messages.append(ChatMessageUser(id=self._id(name), content=text, source="input"))
        self._pending.append(self.messages[-1])

    def _say(self, text: str, step: Step, acts: Sequence[Step], about: dict[str, Any] | None = None) -> ChatMessage:
        message = ChatMessageAssistant(
            id=self._id(f"said-{step.number}"),
            content=text,
            source="generate",
            model=self._model,
            tool_calls=[_call(act) for act in acts] or None,
            metadata={"step": step.number, **(about or {})},
        )
        self.messages.append(message)
        return message

    def _was_called(self, call_id: str) -> bool:
        calls = (call for message in self.messages[-20:] for call in getattr(message, "tool_calls", None) or ())
        return any(call.id == call_id for call in calls)

    def _event(self, kind: Any, name: str, moment: datetime, **fields: Any) -> None:
        self.events.append(kind(**self._at(name, moment), **fields))

    def _at(self, name: str, moment: datetime) -> dict[str, Any]:
        """When an event was, in both of Inspect's ways."""
        since = max(0.0, (moment - self._run.started_at).total_seconds())
        return {"uuid": self._id(name), "timestamp": moment, "working_start": since}

    def _id(self, name: str) -> str:
        """The same each time the run is exported."""
        return f"{self._run.run_id}-{name}"


def answer_text(hypothesis: Hypothesis) -> str:
    """An answer as plain text: verdict, summary, claims with their quotes, guesses."""
    lines = [f"Verdict: {hypothesis.verdict.value}", "", hypothesis.summary]
    for number, claim in enumerate(hypothesis.claims, 1):
        lines += ["", f"{number}. {claim.statement} ({claim.kind.value}, confidence {claim.confidence:.2f})"]
        lines += [f"   step {item.step}: “{item.quote}”" for item in claim.evidence]
    if hypothesis.guesses:
        lines += ["", "Guesses:", *(f"{number}. {guess}" for number, guess in enumerate(hypothesis.guesses, 1))]
    return "\n".join(lines)


def usage_of_turn(step: Step, turn: Turn) -> Any:
    """Tokens and cost of one request, with the tries that it took."""
    written = step.usage.tokens_out or max(0, step.usage.tokens - turn.tokens_in)
    return ModelUsage(
        input_tokens=max(0, step.usage.tokens - written),
        output_tokens=written,
        total_tokens=step.usage.tokens,
        total_cost=step.usage.cost_usd,
    )


def readable_turns(steps: Sequence[Step]) -> list[tuple[Step, Turn]]:
    """The requests to language models that this release can read."""
    return [(step, turn) for step in steps if (turn := _readable_turn(step)) is not None]


def _readable_turn(step: Step) -> Turn | None:
    try:
        return turn_of(step)
    except ValidationError:
        return None


def _acts_after(steps: Sequence[Step], at: int) -> list[Step]:
    """The calls that a turn led to: those until something else happens."""
    acts = []
    for step in steps[at + 1 :]:
        if step.kind not in _ACTS:
            break
        acts.append(step)
    return acts


def _call(step: Step) -> ToolCall:
    arguments = step.arguments
    if step.kind is StepKind.PROPOSAL and not arguments and step.hypothesis is not None:
        arguments = step.hypothesis.model_dump(mode="json")
    name = SUBMIT if step.kind is StepKind.PROPOSAL else step.instrument or step.kind.value
    return ToolCall(id=f"step-{step.number}", function=name, arguments=arguments)
