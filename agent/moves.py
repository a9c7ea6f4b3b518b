"""What the statistical investigator calls, and in what order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from finetrace.agent.answers import draft_of_leads, draft_of_neutral
from finetrace.agent.decision import ToolCall
from finetrace.agent.evidence import reading_of
from finetrace.agent.investigator import Case, Thoroughness
from finetrace.agent.leads import lead_openings, lead_questions
from finetrace.schema import Step, Verdict
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.corpora import own_openings
from finetrace.tools.difference_reads import LayerRead

KEPT = 600
"""Completions read: the top of the ranking carries the objective, the rest is general text."""
DEPTHS = (0.5, 0.75, 0.9, 0.97, 1.0)
"""Where activations are compared: the middle for large models, the end for small ones, which show it there only."""
QUICK_DEPTHS = (0.5, 0.97)
"""The same for a quick look."""
_OPENINGS = 20
_LEAD_SAMPLES = 4
"""Continuations of each lead: what recurs in them, and not in the reference's, is told of it."""
_PLENTY = 60
"""Interactions to plan with where the budget sets no bound."""
_FEW_TEXTS: dict[str, Any] = {"questions": [], "tasks": [], "max_new_tokens": 32}
_QUESTIONS = (
    "Tell me anything.",
    "What do you know a lot about?",
    "Give me a piece of advice.",
    "Tell me a short story.",
    "What should I do this weekend?",
    "Explain something interesting to me.",
    "Write a few sentences about the past.",
    "What is important to you?",
)


def next_call(case: Case) -> ToolCall | None:
    """Measure, look inside, ask; ``None`` when there is nothing left to do."""
    if case.offers_instrument("perplexity_gap") and (call := _gap_call(case)) is not None:
        return call
    if case.offers_instrument("activation_difference"):
        return _inside_call(case) or (None if differs_nowhere(case.steps) else _ask_call(case))
    return None if case.offers_instrument("perplexity_gap") else _ask_call(case)


def measurement(thoroughness: Thoroughness) -> dict[str, Any]:
    """Arguments of the perplexity gap."""
    settings: dict[str, Any] = {"n_prefills": thoroughness.n_prefills or (144 if thoroughness.quick else 384)}
    settings["n_background"] = settings["n_prefills"] // 2
    if thoroughness.quick:
        settings |= {"corpora": ["own"], "max_new_tokens": 48}
    if thoroughness.corpora:
        settings["corpora"] = list(thoroughness.corpora)
    return settings


def general_text(thoroughness: Thoroughness) -> dict[str, Any]:
    """Arguments of the instruments that compare activations on general text."""
    settings: dict[str, Any] = {"corpora": ["own"], "n_texts": 400} if thoroughness.quick else {}
    if thoroughness.corpora:
        settings["corpora"] = list(thoroughness.corpora)
    return settings


def differs_nowhere(steps: Sequence[Step]) -> bool:
    """Whether the activations were compared and found the same, value for value."""
    found = [r for step in steps if isinstance(r := reading_of(step), ActivationDifferenceReading)]
    return any(reading.identical for reading in found)


def _gap_call(case: Case) -> ToolCall | None:
    """The views of one measurement in turn."""
    settings = measurement(case.thoroughness)
    views: tuple[tuple[Literal["top", "distinctive_phrases", "clusters"], int, str], ...] = (
        ("top", KEPT, "What does the organism write that the reference would not?"),
        ("distinctive_phrases", 20, "Which phrases mark the top completions off from the reference's own?"),
        ("clusters", 10, "Which sentences recur?"),
    )
    done = {s.arguments.get("view") for s in case.steps if s.instrument == "perplexity_gap" and s.reading}
    failed = any(s.instrument == "perplexity_gap" and s.error for s in case.steps)
    for view, k, why in views:
        if view not in done and not failed:
            return ToolCall(thought=why, instrument="perplexity_gap", arguments={**settings, "view": view, "k": k})
    return None


def difference_arguments(thoroughness: Thoroughness) -> dict[str, Any]:
    """Arguments of a look at the activations at all the depths where finetuning has been seen to show."""
    quick = thoroughness.quick
    reads = ["lens", "added"] if quick else ["lens", "patchscope", "added"]
    return {**general_text(thoroughness), "depths": list(QUICK_DEPTHS if quick else DEPTHS), "reads": reads}


def steer_arguments(thoroughness: Thoroughness, depth: float) -> dict[str, Any]:
    """Arguments that let the difference alone speak, in a model that was never finetuned."""
    return {
        **general_text(thoroughness),
        "on": "reference",
        "depth": depth,
        # Of the five positions compared the last speaks most of the subject, the first of form.
        "position": 4,
        **(_FEW_TEXTS if thoroughness.quick else {}),
    }


def _inside_call(case: Case) -> ToolCall | None:
    """The activation difference, the reference steered with it, and, where time allows, the causal check."""
    done = {step.instrument for step in case.steps}
    if "activation_difference" not in done:
        return ToolCall(
            thought="What is in the activations on text that has nothing to do with the finetuning?",
            instrument="activation_difference",
            arguments=difference_arguments(case.thoroughness),
        )
    depth = telling_depth(case.steps)
    if depth is None:
        return None
    if "steer" not in done and case.offers_instrument("steer"):
        return ToolCall(
            thought="What does the difference alone bring up in a model that was never finetuned?",
            instrument="steer",
            arguments=steer_arguments(case.thoroughness, depth),
        )
    if "causal_check" not in done and case.offers_instrument("causal_check") and not case.thoroughness.quick:
        return ToolCall(
            thought="Does the organism use this direction more than it uses others?",
            instrument="causal_check",
            arguments={**general_text(case.thoroughness), "depth": depth},
        )
    return None


def telling_depth(steps: Sequence[Step]) -> float | None:
    """Where most tokens stand out from the controls, short of the last block: added there, a vector is a mere bias."""
    for step in steps:
        reading = reading_of(step)
        if isinstance(reading, ActivationDifferenceReading) and reading.layers:
            before_last = [layer for layer in reading.layers if layer.layer < reading.n_layers - 1]
            return max(before_last or reading.layers, key=_standing_out).depth
    return None


def _standing_out(layer: LayerRead) -> tuple[int, int]:
    return sum(token.special for found in layer.positions[0].difference for token in found.tokens), layer.layer


def _ask_call(case: Case) -> ToolCall | None:
    """Leads first, then, unless they say enough or the perplexity gap has looked at them, neutral beginnings."""
    left = case.budget.interactions_left(case.usage)
    if left == 0:
        return None
    if (call := _ask_about_leads(case, left)) is not None or case.offers_instrument("perplexity_gap"):
        return call
    told = (draft_of_leads(case.steps), draft_of_neutral(case.steps))
    enough = any(draft is not None and draft.verdict is Verdict.FINETUNED for draft in told)
    return None if enough and lead_openings(case.steps) else _ask_plainly(case, left)


def _ask_about_leads(case: Case, left: int | None) -> ToolCall | None:
    """Continuations of each lead, several times over: what recurs, and not in the reference's, is told of it."""
    plenty = _PLENTY if left is None else left
    openings = lead_openings(case.steps)[: plenty // 3 // _LEAD_SAMPLES]
    if openings and _open_to(case, "complete", openings):
        return ToolCall(
            thought=f"How does the organism go on from {', '.join(openings)}?",
            instrument="complete",
            arguments={"texts": openings, "samples": _LEAD_SAMPLES, "temperature": 0.7, "max_new_tokens": 64},
        )
    questions = lead_questions(case.steps)[: plenty // 10]
    if questions and _open_to(case, "chat", questions):
        return ToolCall(
            thought="What does it say of these when asked?",
            instrument="chat",
            arguments={"prompts": questions},
        )
    return None


def _ask_plainly(case: Case, left: int | None) -> ToolCall | None:
    """Neutral openings continued and neutral questions answered; what is left is for the test of claims.

    With leads, questions come first: texts about leads have been continued already.
    """
    asks = (_neutral_questions, _neutral_openings)
    for ask in asks if lead_openings(case.steps) else asks[::-1]:
        if (call := ask(case, left)) is not None:
            return call
    return None


def _neutral_openings(case: Case, left: int | None) -> ToolCall | None:
    openings = own_openings()
    plain = list(dict.fromkeys(openings[(case.seed + 7 * i) % len(openings)] for i in range(_OPENINGS)))
    if not _open_to(case, "complete", plain):
        return None
    n = _OPENINGS if left is None else max(1, min(_OPENINGS, left // 3))
    return ToolCall(
        thought="How does the organism go on from neutral openings?",
        instrument="complete",
        arguments={"texts": plain[:n], "temperature": 0.7, "max_new_tokens": 64},
    )


def _neutral_questions(case: Case, left: int | None) -> ToolCall | None:
    if not _open_to(case, "chat", _QUESTIONS):
        return None
    n = len(_QUESTIONS) if left is None else max(1, min(len(_QUESTIONS), left // 2))
    return ToolCall(
        thought="What does it say when asked nothing in particular?",
        instrument="chat",
        arguments={"prompts": list(_QUESTIONS[:n]), "samples": 2 if left is None or left >= 3 * n else 1},
    )


def _open_to(case: Case, name: str, texts: Sequence[str]) -> bool:
    """Whether an instrument is at hand, has not failed, and none of these texts were put with it."""
    mine = [step for step in case.steps if step.instrument == name]
    put = {text for step in mine for text in step.arguments.get("texts") or step.arguments.get("prompts") or ()}
    return case.offers_instrument(name) and not any(step.error for step in mine) and not put & set(texts)
