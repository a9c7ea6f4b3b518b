from __future__ import annotations

import pytest
from scripted import Desk, WrittenPair, always, ask, submit

from finetrace.agent.arms import OWN_ARM, arm_of, find_arm, make_arm
from finetrace.errors import FinetraceError
from finetrace.models.pair import Capability


def test_a_number_behind_the_name_sets_the_interactions() -> None:
    for number in (0, 5, 50):
        arm = find_arm(f"blackbox@{number}")
        assert (arm.name, arm.interactions) == (f"blackbox@{number}", number)
        assert (arm.instruments, arm.allowed) == (find_arm("blackbox").instruments, find_arm("blackbox").allowed)


@pytest.mark.parametrize("name", ["blackbox@", "full@-1", "full@five", "full@5@6", "full@٣"])
def test_anything_but_a_number_is_refused(name: str) -> None:
    with pytest.raises(FinetraceError, match="no number of interactions"):
        find_arm(name)


def test_an_own_arm_allows_what_its_instruments_may_use() -> None:
    assert Capability.REFERENCE not in make_arm("talk", ["chat"]).allowed
    gap = make_arm("gap", ["chat", "perplexity_gap"], 7)
    assert gap.interactions == 7
    assert Capability.LOGPROBS in gap.allowed and Capability.ACTIVATIONS not in gap.allowed
    assert Capability.ACTIVATIONS in make_arm("inside", ["steer"]).allowed


@pytest.mark.parametrize(
    ("name", "instruments", "expected"),
    [
        ("full", ["chat"], "cannot be the name"),
        ("mine@5", ["chat"], "cannot be the name"),
        (" ", ["chat"], "cannot be the name"),
        ("mine", ["chatt"], "no instrument 'chatt'"),
        ("mine", [], "named once"),
        ("mine", ["chat", "chat"], "named once"),
    ],
)
def test_an_own_arm_that_makes_no_sense_is_refused(name: str, instruments: list[str], expected: str) -> None:
    with pytest.raises(FinetraceError, match=expected):
        make_arm(name, instruments)


def test_a_run_knows_its_own_arm(desk: Desk) -> None:
    own = arm_of("mine@3", {OWN_ARM: ["chat"]})
    assert (own.name, own.instruments, own.interactions) == ("mine@3", ("chat",), 3)
    ended = desk.run(WrittenPair(always("Rain.")), ask(), submit(), arm="mine@3", settings={OWN_ARM: ["chat"]})
    assert ended.run.arm == "mine@3" and ended.steps[0].error is None
    refused = desk.run(WrittenPair(always("Rain.")), ask(), submit(), arm="mine", settings={OWN_ARM: ["complete"]})
    assert "no instrument 'chat' in this arm" in (refused.steps[0].error or "")
