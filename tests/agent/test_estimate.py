from __future__ import annotations

import json

import pytest

from finetrace.agent.budget import Budget
from finetrace.agent.estimate import Estimate, Size, Span, estimate, estimate_merge
from finetrace.settings import Price

SIZE = Size(prompt=14_000, overview=3)
PRICE = Price(input=1.25, output=10)


def whole(taken: Estimate) -> Span:
    return taken.tokens_in + taken.tokens_out


def test_it_is_a_range_said_in_one_line() -> None:
    taken = estimate(SIZE, Budget(), PRICE)
    assert taken.llm_calls == Span(low=8, high=17)
    assert 4000 * 7 < taken.tokens_in.low < taken.tokens_in.high < 17 * 30_000
    assert taken.cost_usd is not None
    assert taken.cost_usd.high == pytest.approx(
        (taken.tokens_in.high * 1.25 + taken.tokens_out.high * 10) / 1e6, rel=1e-3
    )
    assert str(taken) == "about 8-17 LLM calls, 54-300 thousand tokens, $0.08-0.47"
    assert Estimate.model_validate(json.loads(taken.model_dump_json())) == taken


def test_an_unknown_price_is_not_nothing() -> None:
    taken = estimate(SIZE, Budget(), None)
    assert taken.cost_usd is None and str(taken).endswith("tokens, price unknown")
    assert (taken + estimate(SIZE, Budget(), PRICE)).cost_usd is None and taken.times(2).cost_usd is None
    assert str(estimate(SIZE, Budget(), Price(input=0, output=0))).endswith("tokens, $0")


@pytest.mark.parametrize(
    "budget", [Budget(llm_calls=5), Budget(tokens=60_000), Budget(tokens_out=2000), Budget(cost_usd=0.06)]
)
def test_bounds_hold_for_both_ends(budget: Budget) -> None:
    taken = estimate(SIZE, budget, PRICE)
    assert taken.cost_usd is not None
    for bound, span in (
        (budget.llm_calls, taken.llm_calls),
        (budget.tokens, whole(taken)),
        (budget.tokens_out, taken.tokens_out),
        (budget.cost_usd, taken.cost_usd),
    ):
        assert bound is None or 0 < span.low <= span.high <= bound
    assert taken.llm_calls.high < estimate(SIZE, Budget(), PRICE).llm_calls.high


def test_a_bound_below_one_call_leaves_the_call_that_asks_for_the_answer() -> None:
    assert estimate(SIZE, Budget(tokens=1), PRICE).llm_calls == Span(low=1, high=1)


def test_a_small_window_bounds_every_request_and_not_the_number_of_them() -> None:
    small, large = (estimate(SIZE._replace(window=window), Budget(), None) for window in (8192, 1_000_000))
    assert small.llm_calls == large.llm_calls
    assert small.tokens_in.high <= 17 * 8192 < large.tokens_in.high
    assert large.tokens_in.high > estimate(SIZE, Budget(), None).tokens_in.high > small.tokens_in.high


def test_several_runs_and_their_merging_add_up() -> None:
    one, merge = estimate(SIZE, Budget(), PRICE), estimate_merge(3, SIZE, Budget(), PRICE)
    both = one.times(3) + merge
    assert both.llm_calls == Span(low=24 + merge.llm_calls.low, high=51 + merge.llm_calls.high)
    assert merge.cost_usd is not None and one.cost_usd is not None and both.cost_usd is not None
    assert both.cost_usd.low == pytest.approx(3 * one.cost_usd.low + merge.cost_usd.low, rel=1e-3)
    assert merge.tokens_in.high < one.tokens_in.high
    assert merge.tokens_in.high < estimate_merge(8, SIZE, Budget(), PRICE).tokens_in.high
    assert "million tokens" in str(one.times(20))


def test_a_first_message_has_room_in_any_window() -> None:
    rooms = [SIZE._replace(window=window).room for window in (256, 8192, 200_000)]
    assert rooms == sorted(rooms) and rooms[0] == 3000 and rooms[2] * 2 + SIZE.prompt < 200_000 * 3.5
