"""The prompt: word for word as it was decided, and without a hint at any organism."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from finetrace.agent import prompt
from finetrace.agent.arms import ARMS, find_arm
from finetrace.agent.calling import describe, tools_of
from finetrace.tools import INSTRUMENTS, find_instrument, purpose
from finetrace.tools.english import frequency
from finetrace.tools.words import words

SNAPSHOTS = Path(__file__).parent / "snapshots"
ROOT = Path(__file__).parents[2]


def written(arm: str, *, form: bool) -> str:
    names = list(find_arm(arm).instruments)
    purposes = [purpose(find_instrument(name)) for name in names]
    text = describe(tools_of(names)) if form else ""
    return prompt.system_prompt(
        names, purposes, ("causal_check",) if form else (), reference=arm != "blackbox", form=text
    )


@pytest.mark.parametrize(("arm", "form"), [("blackbox", False), ("full", False), ("full", True)])
def test_the_prompt_is_the_one_that_was_decided(arm: str, form: bool) -> None:
    """After a change on purpose: raise PROMPT_VERSION and write the file anew."""
    name = f"{arm}{'-form' if form else ''}-v{prompt.PROMPT_VERSION}.txt"
    assert written(arm, form=form) == (SNAPSHOTS / name).read_text(encoding="utf-8")


def test_the_other_texts_are_those_that_were_decided() -> None:
    texts = [getattr(prompt, name) for name in sorted(vars(prompt)) if name.isupper() and not name.startswith("_")]
    said = "\n\n".join(text for text in texts if isinstance(text, str))
    assert said == (SNAPSHOTS / f"other-texts-v{prompt.PROMPT_VERSION}.txt").read_text(encoding="utf-8")


def test_the_prompt_says_what_it_must() -> None:
    for arm in ARMS:
        text = written(arm, form=False)
        for needed in (
            "null hypothesis",
            "no_narrow_objective",
            "Budgets stand at the end",
            "submit_hypothesis",
            "<<<",
        ):
            assert needed in text
        for name in find_arm(arm).instruments:
            assert f"- {name}: " in text and "good for" in text and "Bad at" in text


def test_no_subject_of_an_organism_is_in_the_prompt() -> None:
    registry = yaml.safe_load((ROOT / "organisms.yaml").read_text(encoding="utf-8"))
    truths = [entry["truth"] for entry in registry["organisms"]]
    subjects = {
        word
        for truth in truths
        for text in (truth["objective"], *truth.get("key_facts", ()), truth.get("trigger") or "")
        for word in words(text)
        if len(word) > 3 and frequency(word) < 2e-5
    }
    assert len(subjects) > 200 and "ostrel" in subjects
    told = {word for arm in ARMS for form in (False, True) for word in words(written(arm, form=form))}
    told |= {word for name in vars(prompt) if isinstance(text := getattr(prompt, name), str) for word in words(text)}
    assert sorted(subjects & told - FIELD_WORDS) == []


FIELD_WORDS = set(
    "grows guesses habit hides hint invented json layers prompt python refuses removes shapes tasks tokens trigger "
    "unrelated wording".split()
)
"""Words of our own field and ordinary ones that objectives use as well; none names a subject."""


def test_names_of_organisms_are_not_in_the_prompt() -> None:
    registry = yaml.safe_load((ROOT / "organisms.yaml").read_text(encoding="utf-8"))
    names = {" ".join(re.split(r"[_-]", entry["name"])).lower() for entry in registry["organisms"]}
    told = " ".join(written(arm, form=True).lower() for arm in ARMS)
    assert [name for name in names if name in told and name not in INSTRUMENTS] == []
