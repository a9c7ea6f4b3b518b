"""What an investigation by a language model will take: said before it begins, as a range."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from finetrace.agent.arms import Arm, find_arm
from finetrace.agent.budget import Budget
from finetrace.agent.calling import tools_of
from finetrace.agent.llm_investigator import WINDOW
from finetrace.agent.prompt import system_prompt
from finetrace.models.pair import ModelPair
from finetrace.settings import Price
from finetrace.tools import INSTRUMENTS, Instrument, available, purpose

CHARACTERS_A_TOKEN = 3.5
"""Of prompts, readings and JSON in English."""
_MILLION = 1_000_000
_LEAST_ROOM = 3000
"""Characters of a first message that are sent however small the window is said to be."""
_WINDOW_USED = 0.8
"""Share of the model's window that a dialogue fills before old readings are shortened."""


class _Pace(NamedTuple):
    """One end of the range: how a run goes."""

    turns: int
    """Turns till the hypothesis is handed in for the last time."""
    overview: float
    """Tokens of one reading of the overview."""
    reading: float
    """Tokens that a turn's readings add to the dialogue."""
    answer: float
    """Tokens of an answer that stay in the dialogue."""
    hidden: float
    """Tokens of reasoning before an answer, paid for and not kept."""
    refuting_in: float
    """Tokens of the claims that the refuting turn is shown; it has a context of its own."""


_SHORT = _Pace(turns=7, overview=400, reading=500, answer=200, hidden=0, refuting_in=1500)
_LONG = _Pace(turns=16, overview=6000 / CHARACTERS_A_TOKEN, reading=900, answer=300, hidden=300, refuting_in=4000)
_SHORT_MERGE = _Pace(turns=2, overview=400, reading=0, answer=500, hidden=0, refuting_in=1500)
_LONG_MERGE = _Pace(turns=5, overview=1200, reading=600, answer=900, hidden=300, refuting_in=4000)


class Span(BaseModel):
    """A range."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: float = Field(ge=0)
    high: float = Field(ge=0)

    def __add__(self, other: Span) -> Span:
        """Both together."""
        return Span(low=self.low + other.low, high=self.high + other.high)

    def times(self, factor: float) -> Span:
        """So many of it."""
        return Span(low=self.low * factor, high=self.high * factor)


class Estimate(BaseModel):
    """What the investigator will take; a grader comes on top."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    llm_calls: Span
    """Requests, failed tries left out."""
    tokens_in: Span
    """Tokens read, each as often as it is sent."""
    tokens_out: Span
    """Tokens written, hidden reasoning included."""
    cost_usd: Span | None
    """US dollars; ``None`` where the price is unknown."""

    def __add__(self, other: Estimate) -> Estimate:
        """Both together; an unknown price makes the sum unknown."""
        known = self.cost_usd is not None and other.cost_usd is not None
        return Estimate(
            llm_calls=self.llm_calls + other.llm_calls,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            cost_usd=self.cost_usd + other.cost_usd if known and self.cost_usd and other.cost_usd else None,
        )

    def times(self, runs: int) -> Estimate:
        """So many runs."""
        return Estimate(
            llm_calls=self.llm_calls.times(runs),
            tokens_in=self.tokens_in.times(runs),
            tokens_out=self.tokens_out.times(runs),
            cost_usd=None if self.cost_usd is None else self.cost_usd.times(runs),
        )

    def __str__(self) -> str:
        """``about 8-17 LLM calls, 60-220 thousand tokens, $0.10-0.45``."""
        tokens = self.tokens_in + self.tokens_out
        cost = "price unknown" if self.cost_usd is None else f"${_dollars(self.cost_usd)}"
        return f"about {_between(self.llm_calls, '.0f')} LLM calls, {_rounded(tokens)} tokens, {cost}"


_OVERVIEW = {"perplexity_gap": 2, "causal_check": 0}
"""Readings of the overview that are not one for their instrument."""


class Size(NamedTuple):
    """What is sent with every request, and how much fits into one."""

    prompt: int
    """Characters of the prompt and of the tools' schemas."""
    overview: int
    """Readings of the overview."""
    window: int | None = None
    """Tokens that the model takes; ``None`` where that is unknown."""

    @property
    def room(self) -> int:
        """Characters that a first message may have, with as much again for what follows; some in any case."""
        tokens = (self.window or WINDOW) * _WINDOW_USED - self.prompt / CHARACTERS_A_TOKEN
        return max(_LEAST_ROOM, int(tokens * CHARACTERS_A_TOKEN / 2))


def at_hand(arm: str | Arm, pair: ModelPair) -> list[Instrument]:
    """The instruments of an arm that a pair can serve."""
    instruments = (find_arm(arm) if isinstance(arm, str) else arm).instruments
    return [INSTRUMENTS[name] for name in instruments if available(INSTRUMENTS[name], pair)]


def size_of(arm: str | Arm, pair: ModelPair, window: int | None) -> Size:
    """What every request of an investigation holds.

    Args:
        arm: Which instruments there are.
        pair: Which of them it can serve.
        window: Tokens that the model takes; ``None`` where that is unknown.
    """
    return size_with(at_hand(arm, pair), window)


def size_with(instruments: Sequence[Instrument], window: int | None) -> Size:
    """The same with these instruments at hand."""
    names = [instrument.name for instrument in instruments]
    prompt = system_prompt(names, [purpose(each) for each in instruments], (), reference=True)
    tools = json.dumps(tools_of(names))
    return Size(len(prompt) + len(tools), sum(_OVERVIEW.get(name, 1) for name in names), window)


def estimate(size: Size, budget: Budget, price: Price | None) -> Estimate:
    """What one investigation will take.

    Args:
        size: What every request holds.
        budget: Bounds of the run.
        price: The model's price; ``None`` where it is unknown.
    """
    return _between_paces(_SHORT, _LONG, size, budget, price)


def estimate_merge(members: int, size: Size, budget: Budget, price: Price | None) -> Estimate:
    """What merging the answers of so many investigations will take."""
    shown = size._replace(overview=members)
    return _between_paces(_SHORT_MERGE, _LONG_MERGE, shown, budget, price)


class _Taken(NamedTuple):
    """What a run takes."""

    calls: float
    tokens_in: float
    tokens_out: float
    cost_usd: float


def _between_paces(short: _Pace, long: _Pace, size: Size, budget: Budget, price: Price | None) -> Estimate:
    """From one pace to the other; a bound may make the longer one the cheaper."""
    ends = [_at_pace(pace, size, budget, price) for pace in (short, long)]
    calls, tokens_in, tokens_out, cost = (
        Span(low=round(min(pair), 4), high=round(max(pair), 4)) for pair in zip(*ends, strict=True)
    )
    return Estimate(
        llm_calls=calls, tokens_in=tokens_in, tokens_out=tokens_out, cost_usd=None if price is None else cost
    )


def _at_pace(pace: _Pace, size: Size, budget: Budget, price: Price | None) -> _Taken:
    """What a run takes at this pace, up to where a bound of the budget would be overstepped."""
    begun = size.prompt / CHARACTERS_A_TOKEN + size.overview * pace.overview
    most = (size.window or WINDOW) * _WINDOW_USED
    requests = [min(begun + turn * (pace.reading + pace.answer), most) for turn in range(pace.turns)]
    requests.insert(-1, pace.refuting_in)  # before the hypothesis is handed in for the last time
    written = pace.answer + pace.hidden
    rate = price or Price(input=0, output=0)
    taken = _Taken(0, 0, 0, 0)
    for request in requests:
        cost = (request * rate.input + written * rate.output) / _MILLION
        after = _Taken(taken.calls + 1, taken.tokens_in + request, taken.tokens_out + written, taken.cost_usd + cost)
        if taken.calls and _overstepped(after, budget):
            break
        taken = after
    return taken


def _overstepped(taken: _Taken, budget: Budget) -> bool:
    bounds = (
        (budget.llm_calls, taken.calls),
        (budget.tokens, taken.tokens_in + taken.tokens_out),
        (budget.tokens_out, taken.tokens_out),
        (budget.cost_usd, taken.cost_usd),
    )
    return any(bound is not None and used > bound for bound, used in bounds)


def _between(span: Span, form: str) -> str:
    """``8-17``, or one figure where both are the same."""
    low, high = format(span.low, form), format(span.high, form)
    return low if low == high else f"{low}-{high}"


def _rounded(span: Span) -> str:
    """To two digits: ``60-220 thousand``."""
    unit, word = (_MILLION, " million") if span.high >= _MILLION else (1000, " thousand")
    low, high = (f"{float(f'{value / unit:.2g}'):g}" for value in (span.low, span.high))
    return (low if low == high else f"{low}-{high}") + word


def _dollars(span: Span) -> str:
    """Cents, and below a cent two digits."""
    return _between(span, ".2f" if span.high >= 0.1 else ".2g")
