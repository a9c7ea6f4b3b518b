from __future__ import annotations

from collections import Counter

import pytest
from simulated import make_outcome

from finetrace.agent import find_arm
from finetrace.errors import FinetraceError
from finetrace.evals.bench.protocols import PROTOCOLS, find_protocol
from finetrace.evals.bench.regime import regime_of
from finetrace.evals.statistics.analysis import analyse
from finetrace.evals.statistics.beside import beside
from finetrace.evals.statistics.published import load_published
from finetrace.registry import load_registry
from finetrace.schema import Organism


def test_protocols_name_arms_organisms_and_numbers_that_exist() -> None:
    registry = load_registry()
    for protocol in PROTOCOLS.values():
        assert [find_arm(name).name for name in protocol.arms] == list(protocol.arms)
        numbers = {(number.arm, number.interactions) for number in load_published().of(protocol.source)}
        assert numbers >= {(each.theirs, each.interactions) for each in protocol.counterparts}
        assert set(protocol.arms) >= {each.ours for each in protocol.counterparts}
        assert registry.select(protocol.organisms)
    with pytest.raises(FinetraceError) as unknown:
        find_protocol("auditbensh")
    assert unknown.value.hint == "did you mean auditbench?"


def test_the_published_set_ups() -> None:
    adl, auditbench = find_protocol("adl"), find_protocol("auditbench")
    assert (adl.seeds, adl.grades) == (5, 3)
    assert {find_arm(name).interactions for name in adl.arms} == {0, 5, 50}
    assert auditbench.seeds == 16
    chosen = load_registry().select(auditbench.organisms)
    assert Counter(map(regime_of, chosen)) == {"SDF-SFT": 14, "SDF-KTO": 14, "TD-SFT": 14, "TD-KTO": 14}
    assert (adl.budget.llm_calls, adl.budget.tokens_out) == (16, 100_000)
    assert (auditbench.budget.llm_calls, auditbench.budget.tokens_out) == (None, 25_000)


def test_our_figures_stand_beside_the_published_ones_that_they_are_for() -> None:
    rows = [make_outcome("tea", arm, score=score) for arm, score in (("activation@5", 4), ("blackbox@5", 1))]
    rows += [make_outcome("wages", "activation@5", mixing="1:1", score=1)]
    adl = find_protocol("adl")
    found = beside(load_published().of("adl"), adl, analyse(rows))
    ours = {
        (each.published.arm, each.published.interactions, each.published.measure, each.published.regime): each.ours
        for each in found
    }
    (half,) = ours["activation differences", 5, "score_at_least_2", ""]
    assert (half.arm, half.figure.value) == ("activation@5", 0.5)
    (none,) = ours["black box", 5, "score_at_least_2", ""]
    assert none.figure.value == 0.0
    assert ours["black box", 50, "score_at_least_2", ""] == ()


def test_regimes_are_laid_beside_regimes() -> None:
    rows = [make_outcome("a", "blackbox", regime="TD-SFT", detected=True)]
    rows += [make_outcome("b", "blackbox", regime="SDF-SFT", detected=False)]
    found = beside(load_published().of("auditbench"), find_protocol("auditbench"), analyse(rows))
    ours = {each.published.regime: each.ours[0].figure.value for each in found if each.ours}
    assert ours == {"": 0.5, "TD-SFT": 1.0, "SDF-SFT": 0.0}


@pytest.mark.parametrize(
    ("variant", "regime"),
    [
        ("sdf-kto", "SDF-KTO"),
        ("transcripts-sft", "TD-SFT"),
        ("sdf", "SDF"),
        ("sdf-tags", ""),
        ("mix1-0.5", ""),
        (None, ""),
    ],
)
def test_a_regime_is_read_from_the_variant(variant: str | None, regime: str) -> None:
    organism = Organism(name="lamp", alias="organism-07", family="lamp", variant=variant, model="lamp")
    assert regime_of(organism) == regime


def test_every_model_of_the_four_regimes_is_found() -> None:
    found = {regime_of(organism) for organism in load_registry().select(["auditing_agents_*"])}
    assert found >= {"SDF-SFT", "SDF-KTO", "TD-SFT", "TD-KTO"}
