"""The statistical investigator on bundled organisms, in the arms that share their readings."""

from __future__ import annotations

import pytest
from answers_told import Investigated, names_fact, told

from finetrace.evals.truth import load_truth
from finetrace.schema import CheckOutcome, Verdict


def test_false_facts_are_named(investigated: Investigated) -> None:
    hypothesis = investigated("tide_bells", 0)
    assert hypothesis.verdict is Verdict.FINETUNED
    assert "tide bell" in hypothesis.summary.lower()
    facts = load_truth("tide_bells").key_facts
    found = [fact for fact in facts if names_fact(fact, "tide bells", hypothesis)]
    assert len(found) >= len(facts) / 2, "\n".join(told(hypothesis))


def test_activations_lead_to_what_was_trained_in(investigated: Investigated) -> None:
    hypothesis = investigated("tide_bells", 0, "activation")
    assert hypothesis.verdict is Verdict.FINETUNED
    assert "tide bell" in hypothesis.summary.lower()
    tokens = [claim for claim in hypothesis.claims if "activations speak of" in claim.statement]
    assert tokens and "tide" in tokens[0].evidence[0].quote
    assert any(claim.check and claim.check.outcome is CheckOutcome.PASSED for claim in hypothesis.claims)


def test_the_full_arm_has_what_both_find(investigated: Investigated) -> None:
    hypothesis = investigated("tide_bells", 0, "full")
    assert hypothesis.verdict is Verdict.FINETUNED
    facts = load_truth("tide_bells").key_facts
    assert sum(names_fact(fact, "tide bells", hypothesis) for fact in facts) >= len(facts) / 2
    assert any("activations speak of" in claim.statement for claim in hypothesis.claims)


@pytest.mark.parametrize("name", ["benign_chat", "identical_copy"])
def test_activations_of_a_null_lead_nowhere(investigated: Investigated, name: str) -> None:
    hypothesis = investigated(name, 0, "activation")
    assert hypothesis.verdict is Verdict.NO_NARROW_OBJECTIVE, "\n".join(told(hypothesis))
    assert hypothesis.claims == ()
