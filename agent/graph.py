"""The loop as a LangGraph: decide → act → (decide | verify) → submit, checkpointed after every node.

The state that LangGraph keeps is small and JSON-like; the steps themselves lie in the store. Each node appends its step
under a number that follows from the state, so a node that is run again after a crash finds its step and does nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph

from finetrace.agent.arms import Arm
from finetrace.agent.budget import Budget
from finetrace.agent.check import check_claims, leave_untested
from finetrace.agent.decision import DECISION, Submit, ToolCall
from finetrace.agent.evidence import check_evidence
from finetrace.agent.investigator import Case, Investigator, Offer, Thoroughness
from finetrace.agent.transcript import Clock, Transcript, total_usage
from finetrace.errors import FinetraceError, ToolError, closest
from finetrace.llm import LanguageModel
from finetrace.models.pair import ModelPair
from finetrace.schema import Hypothesis, Step, StepKind, Usage, Verdict, null_hypothesis
from finetrace.tools import INSTRUMENTS, Context, available, find_instrument, parse_arguments, purpose, take

MAX_STEPS = 60
"""Decisions after which only an answer is taken."""
MAX_REPAIRS = 3
"""How often a hypothesis with unsupported evidence is sent back."""
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


@dataclass(frozen=True)
class Workbench:
    """All that the nodes work with; none of it is in the checkpoint."""

    pair: ModelPair
    """What the arm allows of the models."""
    arm: Arm
    alias: str
    investigator: Investigator
    budget: Budget
    thoroughness: Thoroughness
    context: Context
    transcript: Transcript

    def case(self, state: State) -> Case:
        """What the investigator sees in this state, whatever was appended after it before a crash."""
        names = self.arm.instruments
        steps = self.transcript.steps[: state["number"]]
        usage = total_usage(steps)
        must_answer = self.budget.exhausted(usage)
        if must_answer is None and state["number"] >= MAX_STEPS:
            must_answer = f"{MAX_STEPS} steps were taken"
        return Case(
            alias=self.alias,
            offers=tuple(
                Offer(name, purpose(INSTRUMENTS[name])) for name in names if available(INSTRUMENTS[name], self.pair)
            ),
            absent=tuple(name for name in names if not available(INSTRUMENTS[name], self.pair)),
            steps=tuple(steps),
            hypothesis=latest_hypothesis(steps),
            budget=self.budget,
            usage=usage,
            seed=self.context.seed,
            thoroughness=self.thoroughness,
            must_answer=must_answer,
            complaints=tuple(state["complaints"]),
        )


def latest_hypothesis(steps: Sequence[Step]) -> Hypothesis:
    """As the last step that changed it left it; before any did, the null hypothesis."""
    held = [step.hypothesis for step in steps if step.hypothesis is not None]
    return held[-1] if held else null_hypothesis()


def build_graph(bench: Workbench, checkpointer: Any) -> Any:
    """Compile the loop for one run."""
    nodes = _Nodes(bench)
    graph = StateGraph(State)
    graph.add_node("decide", nodes.decide)
    graph.add_node("act", nodes.act)
    graph.add_node("verify", nodes.verify)
    graph.add_node("submit", nodes.submit)
    graph.add_edge(START, "decide")
    graph.add_conditional_edges("decide", nodes.after_decide, ["act", "verify"])
    graph.add_conditional_edges("act", nodes.after_act, ["decide", "submit"])
    graph.add_conditional_edges("verify", nodes.after_verify, ["decide", "submit"])
    graph.add_edge("submit", END)
    return graph.compile(checkpointer=checkpointer)


class _Nodes:
    """The four nodes."""

    def __init__(self, bench: Workbench) -> None:
        self.bench = bench

    def decide(self, state: State) -> dict[str, Any]:
        """Ask the investigator."""
        clock = Clock()
        decision = self.bench.investigator.decide(self.bench.case(state))
        return {"decision": decision.model_dump(mode="json"), "complaints": [], "deciding": clock.seconds}

    def after_decide(self, state: State) -> Literal["act", "verify"]:
        """A call is made, a hypothesis verified."""
        return "act" if isinstance(DECISION.validate_python(state["decision"]), ToolCall) else "verify"

    def act(self, state: State) -> dict[str, Any]:
        """Make the call; whatever goes wrong in it is a result that the investigator reads."""
        number = state["number"] + 1
        call = DECISION.validate_python(state["decision"])
        refusal = self.bench.case(state).must_answer
        if self.bench.transcript.step(number) is None and isinstance(call, ToolCall):
            self._make(number, call, refusal, Clock(state["deciding"]))
        return {"number": number, "refused": state["refused"] + (refusal is not None)}

    def _make(self, number: int, call: ToolCall, refusal: str | None, clock: Clock) -> Step:
        transcript = self.bench.transcript
        about: dict[str, Any] = {
            "kind": StepKind.CALL,
            "thought": call.thought,
            "instrument": call.instrument,
            "arguments": call.arguments,
        }
        before = _spent(self.bench.context)
        try:
            if refusal is not None:
                raise ToolError(refusal, "no more calls: hand in your hypothesis")
            about |= self._answer(call)
        except ToolError as error:
            about["error"] = about["text"] = f"{error.message} ({error.hint})" if error.hint else error.message
        except FinetraceError:
            raise  # the cache or the store, not the instrument: for the user, and the run can be resumed
        except Exception as error:
            about["error"] = about["text"] = f"{call.instrument} failed: {type(error).__name__}: {error}"[:500]
        graded = _spent(self.bench.context) - before
        if graded.llm_calls:
            about["usage"] = about.get("usage", Usage()) + graded
        return transcript.append(number, clock, **about)

    def _answer(self, call: ToolCall) -> dict[str, Any]:
        """What an instrument answers to a call, as fields of a step."""
        offered = self.bench.arm.instruments
        if call.instrument.replace("-", "_") not in offered:
            raise ToolError(f"no instrument '{call.instrument}' in this arm", closest(call.instrument, offered))
        instrument = find_instrument(call.instrument)
        arguments = parse_arguments(instrument, call.arguments)
        cost = instrument.cost(arguments)
        left = self.bench.budget.interactions_left(self.bench.transcript.usage)
        if left is not None and cost > left:
            raise ToolError(f"this would take {cost} interactions, {left} are left", "ask less, or hand in")
        reading = take(instrument, self.bench.pair, arguments, self.bench.context)
        return {
            "instrument": instrument.name,
            "arguments": arguments.model_dump(mode="json"),
            "reading": reading.model_dump(mode="json"),
            "text": reading.render(),
            "usage": Usage(interactions=cost),
        }

    def after_act(self, state: State) -> Literal["decide", "submit"]:
        """Back to the investigator, unless it goes on calling after it was told to answer."""
        return "submit" if state["refused"] >= MAX_REFUSALS else "decide"

    def verify(self, state: State) -> dict[str, Any]:
        """Hold the evidence against the readings, then put the claims to fresh samples."""
        submitted = DECISION.validate_python(state["decision"])
        if not isinstance(submitted, Submit):
            raise TypeError("only a hypothesis can be verified")
        number = state["number"] + 1
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
        number = state["number"] + 1
        hypothesis = leave_untested(latest_hypothesis(self.bench.transcript.steps))
        if hypothesis == null_hypothesis():
            summary = "No hypothesis was handed in before the budget was used up."
            hypothesis = Hypothesis(verdict=Verdict.INCONCLUSIVE, summary=summary)
        if self.bench.transcript.step(number) is None:
            self.bench.transcript.append(
                number, Clock(), kind=StepKind.ANSWER, text=hypothesis.summary, hypothesis=hypothesis
            )
        return {"number": number}


def _spent(context: Context) -> Usage:
    """What the grader has used up so far, where there is one that keeps a ledger."""
    return context.grader.usage if isinstance(context.grader, LanguageModel) else Usage()


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
