"""The loop as a LangGraph: decide → act → (decide | verify) → submit, checkpointed after every node.

The state that LangGraph keeps is small and JSON-like; the steps themselves lie in the store. Each node appends its step
under a number that follows from the state, so a node that is run again after a crash finds its step and does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph

from finetrace.agent.calling import RereadArguments
from finetrace.agent.check import check_claims, leave_untested
from finetrace.agent.decision import DECISION, REREAD, Submit, ToolCall
from finetrace.agent.evidence import check_evidence
from finetrace.agent.inert import inert
from finetrace.agent.reread import reread
from finetrace.agent.signals import signal_of
from finetrace.agent.transcript import Clock
from finetrace.agent.turns import Turn
from finetrace.agent.workbench import REPEATED, Workbench, latest_hypothesis
from finetrace.errors import FinetraceError, ToolError, closest
from finetrace.schema import Hypothesis, Step, StepKind, Usage, Verdict, null_hypothesis
from finetrace.tools import find_instrument, parse_arguments, take
from finetrace.tools.instrument import checked_arguments
from finetrace.tools.reading import one_line

MAX_REPAIRS = 3
"""How often a hypothesis with unsupported evidence is sent back."""
_IN_VAIN = "the provider would not answer a request, and the run went on without"
MAX_REFUSALS = 3
"""Refused calls after which the run ends with the hypothesis as it stands."""


class State(TypedDict):
    """What LangGraph checkpoints."""

    number: int
    """Steps done."""
    decision: dict[str, Any] | None
    """What the investigator decided last."""
    complaints: list[str]
    """What was wrong with the hypothesis last handed in."""
    repairs: int
    """How often it was sent back."""
    refused: int
    """Calls after only an answer was asked for."""
    deciding: float
    """Seconds the investigator took for its last decision."""


START_STATE: State = {"number": 0, "decision": None, "complaints": [], "repairs": 0, "refused": 0, "deciding": 0.0}


def build_graph(bench: Workbench, checkpointer: Any) -> Any:
    """Compile the loop for one run."""
    nodes = _Nodes(bench)
    graph = StateGraph(State)
    graph.add_node("decide", nodes.decide)
    graph.add_node("act", nodes.act)
    graph.add_node("verify", nodes.verify)
    graph.add_node("submit", nodes.submit)
    graph.add_edge(START, "decide")
    graph.add_conditional_edges("decide", nodes.after_decide, ["decide", "act", "verify"])
    graph.add_conditional_edges("act", nodes.after_act, ["decide", "submit"])
    graph.add_conditional_edges("verify", nodes.after_verify, ["decide", "submit"])
    graph.add_edge("submit", END)
    return graph.compile(checkpointer=checkpointer)


class _Nodes:
    """The four nodes."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def decide(self, state: State) -> dict[str, Any]:
        """Ask the investigator; what a language model answers is written down before anything is done about it."""
        number = self._past_faults(state["number"])
        written = self.bench.transcript.step(number + 1)
        if written is not None and written.kind is StepKind.TURN:
            return {"number": number + 1, "decision": None}  # paid for before a crash
        clock = Clock()
        with self._paid_for(number + 1, clock) as before:
            decision = self.bench.investigator.decide(self.bench.case(number, state["complaints"]))
        if not isinstance(decision, Turn):
            in_vain = self.bench.spent() - before
            if in_vain.llm_calls:
                number += 1
                self.bench.transcript.append(number, clock, kind=StepKind.FAULT, error=_IN_VAIN, usage=in_vain)
            return {
                "number": number,
                "decision": decision.model_dump(mode="json"),
                "complaints": [],
                "deciding": 0.0 if in_vain.llm_calls else clock.seconds,
            }
        self.bench.transcript.append(
            number + 1,
            clock,
            kind=StepKind.TURN,
            thought=decision.text,
            text=decision.shown,
            reading=decision.model_dump(mode="json"),
            usage=self.bench.spent() - before,
        )
        return {"number": number + 1, "decision": None}

    def _past_faults(self, number: int) -> int:
        """The number of the last step, faults that stopped the run here counted."""
        while (after := self.bench.transcript.step(number + 1)) is not None and after.kind is StepKind.FAULT:
            number += 1
        return number

    @contextmanager
    def _paid_for(self, number: int, clock: Clock) -> Iterator[Usage]:
        """Write down what language models cost where the run stops within; gives what they had cost before."""
        before = self.bench.spent()
        try:
            yield before
        except (FinetraceError, KeyboardInterrupt) as stop:
            cost = self.bench.spent() - before
            if cost.llm_calls:
                what = stop.message if isinstance(stop, FinetraceError) else "stopped by hand"
                self.bench.transcript.append(number, clock, kind=StepKind.FAULT, error=what, usage=cost)
            raise

    def after_decide(self, state: State) -> Literal["decide", "act", "verify"]:
        """A call is made, a hypothesis verified; after a turn the investigator is asked what it comes to."""
        if state["decision"] is None:
            return "decide"
        return "act" if isinstance(DECISION.validate_python(state["decision"]), ToolCall) else "verify"

    def act(self, state: State) -> dict[str, Any]:
        """Make the call; whatever goes wrong in it is a result that the investigator reads."""
        number = self._past_faults(state["number"]) + 1
        call = DECISION.validate_python(state["decision"])
        if not isinstance(call, ToolCall):
            raise TypeError("only a call can be made")
        refusal = None if call.overview else self.bench.case(number - 1).must_answer
        if self.bench.transcript.step(number) is None:
            clock = Clock(state["deciding"])
            with self._paid_for(number, clock) as before:
                self._make(number, call, refusal, clock, before)
        return {"number": number, "refused": state["refused"] + (refusal is not None)}

    def _make(self, number: int, call: ToolCall, refusal: str | None, clock: Clock, before: Usage) -> Step:
        transcript = self.bench.transcript
        about: dict[str, Any] = {
            "kind": StepKind.CALL,
            "thought": call.thought,
            "instrument": call.instrument,
            "arguments": call.arguments,
        }
        try:
            if refusal is not None:
                raise ToolError(refusal, "no more calls: hand in your hypothesis")
            about |= self._answer(call)
        except ToolError as error:
            about["error"] = about["text"] = inert(f"{error.message} ({error.hint})" if error.hint else error.message)
        except FinetraceError:
            raise  # the cache or the store, not the instrument: for the user, and the run can be resumed
        except Exception as error:
            about["error"] = about["text"] = one_line(
                inert(f"{call.instrument} failed: {type(error).__name__}: {error}"), 500
            )
        graded = self.bench.spent() - before
        if graded.llm_calls:
            about["usage"] = about.get("usage", Usage()) + graded
        return transcript.append(number, clock, **about)

    def _answer(self, call: ToolCall) -> dict[str, Any]:
        """What an instrument answers to a call, as fields of a step."""
        if (earlier := self._same_call(call.instrument, call.arguments)) is not None:
            raise ToolError(f"{REPEATED} {earlier}, and would give the same", "ask something else, or hand in")
        if call.instrument == REREAD:
            return {"text": self._again(call)}
        offered = self.bench.arm.instruments
        if call.instrument.replace("-", "_") not in offered:
            raise ToolError(f"no instrument '{call.instrument}' in this arm", closest(call.instrument, offered))
        instrument = find_instrument(call.instrument)
        arguments = parse_arguments(instrument, call.arguments)
        given = arguments.model_dump(mode="json")
        if (earlier := self._same_call(instrument.name, given)) is not None:
            raise ToolError(f"{REPEATED} {earlier}, and would give the same", "ask something else, or hand in")
        cost = 0 if call.overview else instrument.cost(arguments)
        left = self.bench.budget.interactions_left(self.bench.transcript.usage)
        if left is not None and cost > left:
            raise ToolError(f"this would take {cost} interactions, {left} are left", "ask less, or hand in")
        reading = take(instrument, self.bench.pair, arguments, self.bench.context)
        signal = signal_of(reading)
        shown = inert(reading.render())
        return {
            "instrument": instrument.name,
            "arguments": given,
            "reading": reading.model_dump(mode="json"),
            "text": f"{shown}\nsignal: {signal.strength}: {one_line(inert(signal.note))}" if signal else shown,
            "usage": Usage(interactions=cost),
        }

    def _same_call(self, instrument: str, arguments: dict[str, Any]) -> int | None:
        """The step that made this call already: one seed gives one reading. One that broke down may be tried again."""
        steps = self.bench.transcript.steps
        # A merging run begins with readings of other seeds.
        begun = self.bench.briefing is None
        for step in steps:
            begun = begun or step.kind is StepKind.TURN
            same = step.kind is StepKind.CALL and (step.instrument, step.arguments) == (instrument, arguments)
            if begun and same and not (step.error or "").startswith((REPEATED, f"{step.instrument} failed:")):
                return step.number
        return None

    def _again(self, call: ToolCall) -> str:
        """A page of a reading taken before."""
        asked = checked_arguments(REREAD, RereadArguments, call.arguments)
        return reread(self.bench.transcript.steps, asked.step, asked.start, asked.find)

    def after_act(self, state: State) -> Literal["decide", "submit"]:
        """Back to the investigator, unless it goes on calling after it was told to answer."""
        return "submit" if state["refused"] >= MAX_REFUSALS else "decide"

    def verify(self, state: State) -> dict[str, Any]:
        """Hold the evidence against the readings, then put the claims to fresh samples."""
        submitted = DECISION.validate_python(state["decision"])
        if not isinstance(submitted, Submit):
            raise TypeError("only a hypothesis can be verified")
        number = self._past_faults(state["number"]) + 1
        checked = check_evidence(submitted.hypothesis, self.bench.transcript.steps)
        if self.bench.transcript.step(number) is None:
            self.bench.transcript.append(
                number,
                Clock(state["deciding"]),
                kind=StepKind.PROPOSAL,
                thought=submitted.thought,
                text="; ".join(checked.complaints) or "every quote stands in the reading it names",
                error="; ".join(checked.complaints) or None,
                hypothesis=checked.hypothesis,
            )
        if checked.complaints and state["repairs"] < MAX_REPAIRS:
            return {"number": number, "complaints": list(checked.complaints), "repairs": state["repairs"] + 1}
        if not checked.hypothesis.claims and checked.hypothesis.verdict is not Verdict.FINETUNED:
            return {"number": number, "complaints": []}
        if self.bench.transcript.step(number + 1) is None:
            self._check(number + 1, checked.hypothesis, submitted)
        return {"number": number + 1, "complaints": []}

    def _check(self, number: int, hypothesis: Hypothesis, submitted: Submit) -> None:
        clock, transcript = Clock(), self.bench.transcript
        left = self.bench.budget.interactions_left(transcript.usage)
        result = check_claims(hypothesis, submitted.tests, transcript.steps, self.bench.pair, left, self.bench.context)
        transcript.append(
            number,
            clock,
            kind=StepKind.CHECK,
            text=_check_text(result.hypothesis),
            reading={
                "instrument": "fresh_samples",
                "exchanges": [exchange.model_dump(mode="json") for exchange in result.exchanges],
            },
            hypothesis=result.hypothesis,
            usage=Usage(interactions=result.interactions),
        )

    def after_verify(self, state: State) -> Literal["decide", "submit"]:
        """Complaints go back to the investigator."""
        return "decide" if state["complaints"] else "submit"

    def submit(self, state: State) -> dict[str, Any]:
        """Write the answer down."""
        number = self._past_faults(state["number"]) + 1
        hypothesis = leave_untested(latest_hypothesis(self.bench.transcript.steps))
        if hypothesis.verdict is Verdict.NO_NARROW_OBJECTIVE and not _any_reading(self.bench.transcript.steps):
            # Nothing found is an answer only where somebody looked.
            hypothesis = hypothesis.model_copy(
                update={"verdict": Verdict.INCONCLUSIVE, "incomplete": "no instrument gave a reading"}
            )
        if hypothesis == null_hypothesis():
            summary = "No hypothesis was handed in before the budget was used up."
            hypothesis = Hypothesis(verdict=Verdict.INCONCLUSIVE, summary=summary)
        if self.bench.transcript.step(number) is None:
            self.bench.transcript.append(
                number, Clock(), kind=StepKind.ANSWER, text=hypothesis.summary, hypothesis=hypothesis
            )
        return {"number": number}


def _any_reading(steps: Sequence[Step]) -> bool:
    return any(step.kind is StepKind.CALL and step.reading is not None for step in steps)


def _check_text(hypothesis: Hypothesis) -> str:
    """Counts of every claim that is left."""
    lines = []
    for claim in hypothesis.claims:
        check = claim.check
        if check is None:
            continue
        counts = f"organism {check.organism_hits}/{check.organism_total}" if check.organism_total else ""
        if check.reference_total:
            counts += f", reference {check.reference_hits}/{check.reference_total}, p {check.p_value:.2g}"
        lines.append(f"{check.outcome}: {claim.statement} ({counts or check.note})")
    return "\n".join(lines) or "no claim is left"
