from __future__ import annotations

import pytest
from pydantic import ValidationError

from finetrace.agent import Budget, find_arm
from finetrace.errors import FinetraceError
from finetrace.models.pair import Capability
from finetrace.schema import Usage


@pytest.mark.parametrize(
    ("budget", "usage", "words"),
    [
        (Budget(llm_calls=3), Usage(llm_calls=3), "the budget of 3 LLM calls is used up"),
        (Budget(tokens=1000), Usage(tokens=1200), "the budget of 1000 tokens is used up"),
        (Budget(tokens_out=100), Usage(tokens=900, tokens_out=100), "the budget of 100 tokens written is used up"),
        (Budget(seconds=1.5), Usage(seconds=1.5), "the budget of 1.5 seconds is used up"),
        (Budget(cost_usd=0.25), Usage(cost_usd=0.3), "the budget of 0.25 US dollars is used up"),
        (Budget(seconds=0), Usage(), "the budget of 0 seconds is used up"),
        (
            Budget(cost_usd=1),
            Usage(llm_calls=1, cost_usd=None),
            "what was used of the budget of 1 US dollars is unknown: the provider did not count",
        ),
    ],
)
def test_a_bound_that_is_reached_is_named(budget: Budget, usage: Usage, words: str) -> None:
    assert budget.exhausted(usage) == words


@pytest.mark.parametrize(
    ("budget", "usage"),
    [
        (Budget(), Usage(llm_calls=10**6, tokens=10**9, seconds=1e9, cost_usd=1e6)),
        (
            Budget(llm_calls=3, tokens=10, seconds=5, cost_usd=1),
            Usage(llm_calls=2, tokens=9, seconds=4.9, cost_usd=0.9),
        ),
        (Budget(interactions=0), Usage(interactions=7)),
        (Budget(tokens_out=100), Usage(tokens=10**6, tokens_out=99)),
    ],
)
def test_below_its_bounds_a_run_goes_on(budget: Budget, usage: Usage) -> None:
    assert budget.exhausted(usage) is None


@pytest.mark.parametrize(("bound", "used", "left"), [(None, 9, None), (5, 2, 3), (5, 5, 0), (5, 9, 0), (0, 0, 0)])
def test_interactions_left(bound: int | None, used: int, left: int | None) -> None:
    assert Budget(interactions=bound).interactions_left(Usage(interactions=used)) == left


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValidationError):
        Budget(seconds=-1)


def test_arms_differ_in_what_they_allow() -> None:
    assert not find_arm("blackbox").allowed & {Capability.REFERENCE, Capability.LOGPROBS, Capability.COMPLETIONS}
    assert find_arm("perplexity").allowed >= find_arm("blackbox").allowed
    with pytest.raises(FinetraceError, match="no arm 'perplexty'") as raised:
        find_arm("perplexty")
    assert raised.value.hint == "did you mean perplexity?"
