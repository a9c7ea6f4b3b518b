"""Numbers of papers are data with a source, kept apart from ours."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from finetrace.errors import FinetraceError
from finetrace.evals.statistics.outcome import Measure
from finetrace.evals.statistics.published import Published, PublishedNumber, Source, load_published

SOURCE = Source(title="A paper", address="https://example.org")


def number(**changes: object) -> PublishedNumber:
    values = {"source": "paper", "arm": "chat only", "measure": "detected", "value": 0.3}
    return PublishedNumber.model_validate(values | changes)


def test_every_number_has_a_source_and_every_source_a_number() -> None:
    published = load_published()
    assert {each.source for each in published.numbers} == set(published.sources)
    keys = [(n.source, n.arm, n.measure, n.regime, n.interactions) for n in published.numbers]
    assert len(keys) == len(set(keys))


def test_protocols_have_their_goals_under_our_measures() -> None:
    published = load_published()
    adl = {(n.arm, n.interactions, n.measure): n.value for n in published.of("adl") if not n.regime}
    assert adl["activation differences", 5, Measure.AT_LEAST_2] == 0.91
    assert adl["black box", 50, Measure.AT_LEAST_2] == 0.39
    chat = [n for n in published.of("auditbench") if n.arm == "chat only" and n.measure == Measure.DETECTED]
    assert {n.regime: n.value for n in chat}[""] == 0.355


def test_unknown_source_is_told_with_the_closest() -> None:
    with pytest.raises(FinetraceError) as told:
        load_published().of("audit_bench")
    assert "auditbench" in told.value.hint


@pytest.mark.parametrize("changes", [{"value": 35.5}, {"value": 0.4, "high": 0.3}, {"valeu": 1}, {"value": -0.1}])
def test_number_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        number(**changes)
    assert number(value=35.5, unit="percentage points").value == 35.5


def test_number_without_its_source_is_refused() -> None:
    assert Published(sources={"paper": SOURCE}, numbers=(number(),)).of("paper") == (number(),)
    with pytest.raises(ValidationError, match="without a source: paper"):
        Published(sources={}, numbers=(number(),))
