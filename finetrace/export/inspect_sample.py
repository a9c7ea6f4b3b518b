"""One run as a sample of an Inspect log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspect_ai.dataset import Sample
from inspect_ai.event import ScoreEvent
from inspect_ai.log import EvalError, EvalSample
from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ModelOutput, ModelUsage
from inspect_ai.scorer import Score

from finetrace.evals.statistics.outcome import Outcome
from finetrace.export.inspect_dialogue import QUESTION, Dialogue, answer_text, readable_turns, usage_of_turn
from finetrace.schema import GradeRecord, Run, RunStatus, Step, StepKind, Usage

RUBRIC = "rubric"
"""The score from 1 to 5; readers that take one score take the first."""
UNSCORED = float("nan")
"""Inspect's word for what could not be scored; never 0."""

_NO_PROVIDER = "finetrace"
_OF_INVESTIGATOR = frozenset({StepKind.TURN, StepKind.FAULT})
"""Steps whose tokens are the investigator's, whether it answered or not."""


def model_name(investigator: str) -> str:
    """The investigator as Inspect names models: with a provider."""
    return investigator if "/" in investigator else f"{_NO_PROVIDER}/{investigator}"


def sample_of(
    run: Run, steps: Sequence[Step], grades: Sequence[GradeRecord], outcome: Outcome | None, epoch: int
) -> EvalSample:
    """A run with all that belongs to it.

    Args:
        run: The run.
        steps: Its steps, in order.
        grades: Its grades, the oldest first.
        outcome: What the registry knows of it, where it does.
        epoch: Which repeat of its organism this is, from 1.
    """
    model = model_name(run.investigator)
    facts = _facts(grades)
    target = [fact for fact, _ in facts]
    about = _metadata(run, grades, outcome)
    dialogue = Dialogue(run, model, Sample(id=run.organism, input=QUESTION, target=target, metadata=about))
    dialogue.add(steps)
    scores = scores_of(run, grades, outcome)
    ended = run.finished_at or (steps[-1].finished_at if steps else run.started_at)
    for name, score in scores.items():
        since = (ended - run.started_at).total_seconds()
        moment = {"uuid": f"{run.run_id}-score-{name}", "timestamp": ended, "working_start": since}
        dialogue.events.append(ScoreEvent(score=score, target=target, scorer=name, **moment))
    return EvalSample(
        id=run.organism,
        epoch=epoch,
        uuid=run.run_id,
        input=QUESTION,
        target=target,
        messages=dialogue.messages,
        events=dialogue.events,
        output=_output(run, model),
        scores=scores,
        metadata=about,
        store={} if run.hypothesis is None else {"hypothesis": run.hypothesis.model_dump(mode="json")},
        model_usage=usage_of(run, steps),
        started_at=run.started_at.isoformat(),
        completed_at=ended.isoformat(),
        total_time=run.usage.seconds,
        working_time=run.usage.seconds,
        turn_count=len(readable_turns(steps)) or None,
        error=_error(run),
    )


def scores_of(run: Run, grades: Sequence[GradeRecord], outcome: Outcome | None) -> dict[str, Score]:
    """The rubric's score first, then what else the latest grade says, then the scores of other graders."""
    latest = grades[-1].grade if grades else {}
    who = {"grader": grades[-1].grader, "repeat": grades[-1].repeat} if grades else {}
    answer = None if run.hypothesis is None else run.hypothesis.summary
    facts = _facts(grades)
    found = sum(how == "found" for _, how in facts) / len(facts) if facts else None
    reason = latest.get("reason") or ("" if grades else "not graded")
    detail = {**who, "facts": [{"fact": fact, "outcome": how} for fact, how in facts]}
    scores = {RUBRIC: Score(value=_value(latest.get("score")), answer=answer, explanation=reason, metadata=detail)}
    rank = latest.get("identification_rank")
    others = {
        "detected": latest.get("detected"),
        "facts_found": found,
        "identified": None if rank is None else rank == 1,
        "false_positive": None if outcome is None else outcome.false_positive,
    }
    for name, value in others.items():
        if value is not None:
            scores[name] = Score(value=_value(value), metadata=who | ({"rank": rank} if name == "identified" else {}))
    for grade in grades[:-1]:
        name = f"{RUBRIC}_{grade.grader}_{grade.repeat}"
        scores[name] = Score(value=_value(grade.grade.get("score")), explanation=grade.grade.get("reason") or "")
    return scores


def usage_of(run: Run, steps: Sequence[Step]) -> dict[str, ModelUsage]:
    """Tokens by language model: the investigator's requests, and what instruments asked of the grader."""
    turns = {step.number: turn for step, turn in readable_turns(steps)}
    used: dict[str, ModelUsage] = {}
    for step in steps:
        if not step.usage.tokens:
            continue
        turn = turns.get(step.number)
        if turn is not None:
            name, spent = turn.model or model_name(run.investigator), usage_of_turn(step, turn)
        else:
            own = step.kind in _OF_INVESTIGATOR or not run.settings.get("grader")
            name, spent = model_name(run.investigator) if own else str(run.settings["grader"]), _usage(step.usage)
        used[name] = add_usage(used[name], spent) if name in used else spent
    return used


def add_usage(first: ModelUsage, second: ModelUsage) -> ModelUsage:
    """Both together; the cost is unknown where one is, which Inspect's own sum takes for nothing."""
    total: ModelUsage = first + second
    known = first.total_cost is not None and second.total_cost is not None
    return total if known else total.model_copy(update={"total_cost": None})


def _usage(usage: Usage) -> ModelUsage:
    return ModelUsage(
        input_tokens=usage.tokens - usage.tokens_out,
        output_tokens=usage.tokens_out,
        total_tokens=usage.tokens,
        total_cost=usage.cost_usd,
    )


def _metadata(run: Run, grades: Sequence[GradeRecord], outcome: Outcome | None) -> dict[str, Any]:
    """Flat, so that every key becomes a column."""
    budget = run.settings.get("budget") or {}
    return {
        "run_id": run.run_id,
        "bench_id": run.settings.get("bench"),
        "organism": run.organism,
        "organism_type": None if outcome is None else outcome.type.value,
        "family": None if outcome is None else outcome.family,
        "mixing": None if outcome is None else outcome.mixing,
        "arm": run.arm,
        "investigator": run.investigator,
        "seed": run.seed,
        "status": run.status.value,
        "verdict": None if run.hypothesis is None else run.hypothesis.verdict.value,
        "claims": 0 if run.hypothesis is None else len(run.hypothesis.claims),
        "base_model": run.target.get("reference"),
        "adapter": run.target.get("model") or run.target.get("recorded"),
        "rubric_version": grades[-1].grader if grades else None,
        **{f"budget_{name}": value for name, value in budget.items()},
        "interactions": run.usage.interactions,
        "llm_calls": run.usage.llm_calls,
        "tokens": run.usage.tokens,
        "cost_usd": run.usage.cost_usd,
        "seconds": run.usage.seconds,
        "finetrace": run.version,
    }


def _output(run: Run, model: str) -> ModelOutput:
    """The answer as text; empty where there is none."""
    text = "" if run.hypothesis is None else answer_text(run.hypothesis)
    message = ChatMessageAssistant(id=f"{run.run_id}-answer", content=text, source="generate", model=model)
    return ModelOutput(model=model, choices=[ChatCompletionChoice(message=message, stop_reason="stop")])


def _facts(grades: Sequence[GradeRecord]) -> list[tuple[str, str]]:
    """Each key fact and how it came out, by the latest grade."""
    listed = grades[-1].grade.get("facts") or () if grades else ()
    return [(str(each.get("fact")), str(each.get("outcome"))) for each in listed]


def _error(run: Run) -> EvalError | None:
    """Why there is no answer."""
    if run.status is RunStatus.FINISHED:
        return None
    message = run.error or f"the run is {run.status.value}"
    return EvalError(message=message, traceback=message, traceback_ansi=message)


def _value(value: Any) -> float | int:
    """A number as Inspect scores; NaN where there is none."""
    if value is None:
        return UNSCORED
    return int(value) if isinstance(value, bool | int) else float(value)
