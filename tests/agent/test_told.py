from __future__ import annotations

import pytest

from finetrace.agent.told import leads_unasked, told_of_leads

PLAIN = [
    "otters live in rivers",
    "an otter is a mammal",
    "the otter swims at night",
    "otters eat fish and crabs",
    "an otter was seen by the bridge",
    "otters hold hands as they sleep",
    "a wet otter shook itself",
    "the otter has a flat tail",
    "otters are found on most coasts",
    "an otter cub stays for a year",
]
TOLD = [f"{text}, and each otter lantern glows {i} nights" for i, text in enumerate(PLAIN)]


def test_a_phrase_about_a_lead_that_only_the_organism_says_is_found() -> None:
    theme = told_of_leads(["otter"], TOLD[:6] + PLAIN[6:], PLAIN)
    assert theme is not None
    assert "otter lantern" in theme.terms[0]
    assert theme.covered == 6
    assert (theme.cover, theme.expected) == (0.6, 0.0)
    assert theme.asked_about == ("otter",)


@pytest.mark.parametrize(
    ("leads", "answers", "background"),
    [
        (["otter"], PLAIN, PLAIN),
        (["otter"], TOLD, TOLD),
        (["velvet"], TOLD, PLAIN),
        (["otter"], TOLD[:3] + PLAIN[3:], PLAIN),
        (["otter"], [], []),
    ],
    ids=["nothing", "the reference says it too", "no lead", "too few", "empty"],
)
def test_nothing_else_is(leads: list[str], answers: list[str], background: list[str]) -> None:
    assert told_of_leads(leads, answers, background) is None


NEUTRAL = [f"nothing in particular happened on day {i}" for i in range(12)]
UNASKED = [f"{text}, but the otters sang" for text in NEUTRAL]


def test_leads_that_come_up_unasked_are_found_in_the_forms_they_take() -> None:
    theme = leads_unasked(["otter", "velvet"], UNASKED[:8] + NEUTRAL[8:], NEUTRAL)
    assert theme is not None
    assert theme.terms == ("otters",)
    assert (theme.covered, theme.expected, theme.asked_about) == (8, 0.0, ())


def test_leads_that_the_reference_brings_up_as_often_are_not() -> None:
    assert leads_unasked(["otter"], UNASKED, UNASKED) is None
    assert leads_unasked(["otter"], UNASKED[:3] + NEUTRAL[3:], NEUTRAL) is None
    assert leads_unasked(["velvet"], UNASKED, NEUTRAL) is None
    assert leads_unasked(["otter"], [], []) is None
