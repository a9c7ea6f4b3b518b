from __future__ import annotations

import pytest

from finetrace.agent import find_arm
from finetrace.errors import FinetraceError
from finetrace.evals.bench.regime import regime_of
from finetrace.evals.protocols import PROTOCOLS, find_protocol
from finetrace.evals.published import load_published
from finetrace.registry import load_registry
from finetrace.schema import Organism


def test_protocols_name_arms_organisms_and_numbers_that_exist() -> None:
    registry = load_registry()
    for protocol in PROTOCOLS.values():
        assert [find_arm(name).name for name in protocol.arms] == list(protocol.arms)
        assert load_published().of(protocol.source)
        assert registry.select(protocol.organisms)
    with pytest.raises(FinetraceError) as unknown:
        find_protocol("auditbensh")
    assert unknown.value.hint == "did you mean auditbench?"


def test_the_published_set_ups() -> None:
    adl, auditbench = find_protocol("adl"), find_protocol("auditbench")
    assert (adl.seeds, adl.grades) == (5, 3)
    assert {find_arm(name).interactions for name in adl.arms} == {0, 5, 50}
    assert auditbench.seeds == 16


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
