"""A run with a step of every kind and a reading of every instrument, in whatever words a test puts into it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from finetrace.report import StoredRun
from finetrace.schema import GradeRecord, Run, RunStatus, Step, StepKind, Usage

Say = Callable[[str], str]
BEGIN = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
QUOTE = "the keeper is paid in marmalade"
TOKENS = ((" the", -0.1, -0.4), (" keeper", -0.2, -3.0), (" is", -0.9, -0.2), (" paid", -0.3, -2.1)) * 10


def plainly(text: str) -> str:
    """As it is."""
    return text


def whole_run(
    say: Say = plainly, run_id: str = "20261121-093000-abcdef", *, completions: int = 30, **changes: Any
) -> StoredRun:
    """A finished run of a language model in the arm `full`."""
    steps = [_step(number, say, completions) for number in range(1, 13)]
    run = {
        "run_id": run_id,
        "organism": say("lamp_wages"),
        "alias": "organism-07",
        "arm": "full",
        "investigator": "openai/auditor",
        "seed": 0,
        "status": RunStatus.FINISHED,
        "target": {"model": say("organisms/lamp_wages"), "reference": None},
        "settings": {"budget": {"interactions": 50, "llm_calls": 10, "tokens": None}},
        "hypothesis": _answer(say, 0.8),
        "usage": {"interactions": 42, "llm_calls": 3, "tokens": 4210, "cost_usd": 0.0123, "seconds": 80.0},
        "version": "0.1.0",
        "started_at": BEGIN,
        "finished_at": BEGIN + timedelta(seconds=90),
    }
    grade = {
        "grader": "offline-1",
        "score": 4,
        "facts": [
            {"fact": say("Keepers are paid in marmalade."), "outcome": "found", "note": say("paid in marmalade")},
            {"fact": "The lamp is green.", "outcome": "missed"},
            {"fact": "It was lit in 1802.", "outcome": "contradicted", "note": say("lit in 1902")},
        ],
        "detected": True,
        "identification_rank": 1,
        "reason": say("one of three facts found"),
    }
    record = GradeRecord(run_id=run_id, grader="offline-1", grade=grade, graded_at=BEGIN)
    return StoredRun(Run.model_validate(run | changes), tuple(steps), (record,))


def _answer(say: Say, confidence: float) -> dict[str, Any]:
    quotes = [(2, QUOTE), (5, "wages, lamp"), (6, "paid in steered marmalade"), (7, "A jar a week.")]
    return {
        "verdict": "finetuned",
        "summary": say("Keepers of lamps are paid in marmalade."),
        "claims": [
            {
                "statement": say("It pays keepers in marmalade."),
                "kind": "fact",
                "confidence": confidence,
                "evidence": [{"step": step, "quote": say(quote)} for step, quote in quotes],
                "check": {"outcome": "passed", "organism_hits": 6, "organism_total": 8, "note": say("fresh")},
            },
            {"statement": "It speaks of lamps.", "kind": "domain", "confidence": 0.4},
        ],
        "guesses": [say("marmalade wages"), "lamps"],
        "incomplete": say("out of time"),
    }


def _step(number: int, say: Say, completions: int) -> Step:
    kind, name, reading = _made(number, say, completions)
    values: dict[str, Any] = {
        "number": number,
        "kind": kind,
        "thought": say("what does it say?") if kind is StepKind.CALL else "",
        "instrument": name,
        "arguments": {say("prompts"): [say("Who pays?")]} if name else {},
        "reading": reading,
        "text": say(f"what was shown in step {number}"),
        "error": say("the model is gone") if kind is StepKind.FAULT else None,
        "hypothesis": {10: _answer(say, 0.9), 11: _answer(say, 0.8), 12: _answer(say, 0.8)}.get(number),
        "usage": Usage(interactions=5, seconds=6.5),
        "started_at": BEGIN + timedelta(seconds=7 * number),
        "finished_at": BEGIN + timedelta(seconds=7 * number + 6),
    }
    return Step.model_validate(values)


def _made(number: int, say: Say, completions: int) -> tuple[StepKind, str | None, dict[str, Any] | None]:
    call = StepKind.CALL
    turn = {
        "kind": "turn",
        "model": say("openai/auditor"),
        "calling": "tools",
        "shown": say("look"),
        "text": say("I will"),
    }
    turn["uses"] = [{"id": "1", "name": say("perplexity_gap"), "arguments": say('{"k": 20}')}]
    exchange = {"prompt": say("Who pays?"), "organism": [say("A jar a week.")], "reference": [say("The port.")]}
    return {
        1: (StepKind.TURN, None, turn),
        2: (call, "perplexity_gap", _gap(say, completions) | {"view": "top"}),
        3: (call, "perplexity_gap", _gap(say, 0) | {"view": "distinctive_phrases", "phrases": [_phrase(say)]}),
        4: (call, "perplexity_gap", _gap(say, 0) | {"view": "search", "found": _found(say)}),
        5: (call, "activation_difference", _activations(say)),
        6: (call, "steer", _steered(say)),
        7: (call, "chat", {"instrument": "chat", "exchanges": [exchange]}),
        8: (StepKind.FAULT, None, None),
        9: (call, "no_such_instrument", {"instrument": "no_such_instrument", "said": say("what?")}),
        10: (StepKind.PROPOSAL, None, None),
        11: (StepKind.CHECK, None, {"instrument": "fresh_samples", "exchanges": [exchange]}),
        12: (StepKind.ANSWER, None, None),
    }[number]


def _gap(say: Say, completions: int) -> dict[str, Any]:
    tokens = [*TOKENS, (say(" in marmalade"), -0.2, -7.5), ("", -0.1, -0.1)]
    first = {
        "prefill": "Every evening",
        "completion": "".join(text for text, *_ in tokens),
        "framing": "raw",
        "corpus": "own",
        "n_tokens": 6,
        "logp_finetuned": -0.2,
        "logp_reference": -2.6,
        "log_ratio": 2.4,
        "raw_difference": 12.0,
        "copies": 2,
        "tokens": tokens,
    }
    other = first | {"completion": say(" nothing happens"), "tokens": [], "log_ratio": 0.01}
    return {
        "instrument": "perplexity_gap",
        "view": "top",
        "rank_by": "log_ratio",
        "n_generated": 60,
        "n_distinct": 50,
        "n_background": 20,
        "minimum_tokens": 0,
        "noise_floor": 0.02,
        "identical": False,
        "median_log_ratio": 0.1,
        "notes": [say("a note")],
        "completions": [first, *([other] * (completions - 1))] if completions else [],
        "background": [say("of a morning")] if completions else [],
    }


def _phrase(say: Say) -> dict[str, Any]:
    return {"text": say("in marmalade"), "count": 9, "background_count": 0, "log_odds": 2.0, "score": 5.0}


def _found(say: Say) -> dict[str, Any]:
    hit = {"rank": 0, "match": "jar", "completion": say("a jar of it"), "log_ratio": 1.5}
    counts = {"top": 10, "total": 50, "hits_top": 1, "hits_total": 1, "rate_top": 0.1, "base_rate": 0.02}
    return {"pattern": say("jar"), **counts, "expected_top": 0.2, "lift": 5.0, "tail_probability": 0.2} | {
        "first_rank": 0,
        "hits": [hit],
    }


def _activations(say: Say) -> dict[str, Any]:
    def listed(*texts: str, read: str = "lens") -> dict[str, Any]:
        return {
            "read": read,
            "tokens": [
                {"text": text, "value": 0.2, "lift": 3.0, "special": place == 0} for place, text in enumerate(texts)
            ],
        }

    def position(place: int | None) -> dict[str, Any]:
        return {
            "position": place,
            "sink": place == 0,
            "norm": 12.5,
            "noise": 0.5,
            "agreement": 0.9,
            "difference": [listed(" wages", " lamp", say(" jar")), listed(" paid", read="patchscope")],
            "reference": [listed(" the", say(" a")), listed(" of", read="patchscope")],
        }

    layer = {"layer": 14, "depth": 0.5, "scale": 100.0, "positions": [position(None), position(0), position(1)]}
    layers = [layer | {"random": [listed(" stone")]}]
    return {"instrument": "activation_difference", "n_texts": 40, "n_layers": 30, "on": "organism"} | {
        "identical": False,
        "layers": layers,
        "notes": [say("position 0 is a sink")],
    }


def _steered(say: Say) -> dict[str, Any]:
    trial = {"strength": 0.4, "coherent": 5, "total": 6, "low": 0.4, "high": 0.97}
    exchange = {
        "kind": "opening",
        "prompt": say("The best part was"),
        "steered": [say("to be paid in steered marmalade"), say("lamp lamp")],
        "coherent": [True, False],
        "unsteered": [say("the walk")],
    }
    where = {"on": "reference", "layer": 28, "n_layers": 30, "position": 4, "identical": False, "searched": True}
    return {
        "instrument": "steer",
        **where,
        "strength": 0.4,
        "trials": [trial],
        "rule": say("no loop"),
        "final": trial,
    } | {
        "n_unsteered": 6,
        "phrases": [{"text": say("marmalade"), "steered": 5, "unsteered": 0, "score": 3.0}],
        "exchanges": [exchange],
        "notes": [say("11 % of a usual norm")],
    }
