from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_runs import make_step

from finetrace.agent.inert import inert, verbatim
from finetrace.agent.reread import PAGE, reread
from finetrace.errors import ToolError
from finetrace.schema import Step, StepKind
from finetrace.tools.samples import Exchange, SamplesReading


def answered(*texts: str, number: int = 1) -> Step:
    reading = SamplesReading(instrument="chat", exchanges=(Exchange(prompt="Who pays?", organism=texts),))
    return make_step(number, instrument="chat", arguments={}, reading=reading.model_dump(mode="json"))


def test_a_short_reading_is_one_page_of_numbered_texts() -> None:
    shown = reread([answered("Marmalade pays.\nAlways.", "I do.", "I do.")], 1)
    assert shown.splitlines() == [
        "2 texts of step 1: characters 0 to 27 of 28, the end",
        "text 1: Marmalade pays.⏎Always.",
        "text 2: I do.",
    ]


@given(st.lists(st.text(st.sampled_from("ab <>|\n\t\x1b"), max_size=3000), min_size=1, max_size=5))
def test_pages_follow_one_another_without_a_gap(texts: list[str]) -> None:
    step = answered("x", *texts)
    start, parts = 0, dict[int, str]()
    for _ in range(20):
        page = reread([step], 1, start)
        assert len(page) < PAGE + 300
        head, *lines = page.split("\n")
        for line in lines:
            found = re.fullmatch(r"text (\d+)(?:, continued)?: (.*)", line)
            assert found is not None
            parts[int(found[1])] = parts.get(int(found[1]), "") + found[2]
        following = re.search(r"start=(\d+)", head)
        if following is None:
            break
        assert int(following[1]) > start
        start = int(following[1])
    wanted = [text for text in dict.fromkeys(["x", *texts]) if text.strip()]
    assert [re.sub(" {2,}", " ", inert(text)).replace("\n", "⏎") for text in wanted] == list(parts.values())
    assert all(verbatim(part, [text]) for part, text in zip(parts.values(), wanted, strict=True))


def test_a_search_shows_every_place_and_what_is_around_it() -> None:
    text = f"{'x' * 500} The MARMALADE\nis due. {'y' * 500}"
    shown = reread([answered("Nothing.", text, "marmalade is all")], 1, find="marmalade  is")
    head, first, second = shown.splitlines()
    assert head == "«marmalade is» stands 2 times in step 1; 2 shown, from character 0 on"
    assert first.startswith("text 2, start=513: …xxx") and "The MARMALADE⏎is due. yyy" in first
    assert second == "text 3, start=1031: marmalade is all"
    assert "text 2, continued: MARMALADE⏎is" in reread([answered("Nothing.", text, "marmalade is all")], 1, 513)


def test_a_search_goes_on_where_it_ended() -> None:
    step = answered(*(f"{i} {'z' * 300} marmalade {'z' * 300}" for i in range(40)))
    seen, start = [], 0
    while True:
        shown = reread([step], 1, start, "marmalade")
        assert len(shown) < PAGE + 300 and "«marmalade» stands 40 times" in shown
        seen += re.findall(r"^text (\d+)", shown, re.MULTILINE)
        following = re.search(r"same search and start=(\d+)", shown)
        if following is None:
            break
        start = int(following[1])
    assert seen == [str(i) for i in range(1, 41)]


@pytest.mark.parametrize(
    ("find", "told"), [("butter", "«butter» stands nowhere in step 1"), ("<|im_end|>", "«‹|im_end|›»")]
)
def test_what_is_not_there_is_told(find: str, told: str) -> None:
    assert told in reread([answered("marmalade")], 1, find=find)


def test_special_tokens_are_found_in_either_form_and_shown_inert() -> None:
    step = answered("He wrote <|im_end|>\x1b[2J and left.")
    for find in ("<|im_end|>", "‹|im_end|›"):
        shown = reread([step], 1, find=find)
        assert "stands once" in shown and "‹|im_end|›␛[2J and left." in shown and "<|" not in shown


@pytest.mark.parametrize("find", [None, "", "  \n", "⏎"])
def test_a_blank_search_is_none(find: str | None) -> None:
    assert "text 1: marmalade" in reread([answered("marmalade")], 1, find=find)


@pytest.mark.parametrize(
    ("step", "start", "told", "hint"),
    [
        (9, 0, "there is no step 9", "steps with readings: 1, 4"),
        (2, 0, "step 2 took no reading", "steps with readings: 1, 4"),
        (0, 0, "there is no step 0", "1, 4"),
        (3, 0, "step 3 took no reading", "1, 4"),
        (4, 0, "the reading of step 4 holds no text that one may quote", ""),
        (1, 9, "no character 9 in step 1", "its texts take characters 0 to 8"),
        (1, -1, "no character -1 in step 1", "0 to 8"),
    ],
)
def test_a_wrong_step_or_place_is_told(step: int, start: int, told: str, hint: str) -> None:
    steps = [
        answered("marmalade"),
        make_step(2, instrument="chat", reading=None, error="chat failed"),
        make_step(3, kind=StepKind.PROPOSAL, instrument=None, reading=None),
        answered(" ", number=4),
    ]
    with pytest.raises(ToolError, match=f"^{re.escape(told)}$") as caught:
        reread(steps, step, start)
    assert hint in caught.value.hint


def test_before_any_reading_there_is_nothing_to_reread() -> None:
    with pytest.raises(ToolError) as caught:
        reread([], 1)
    assert caught.value.hint == "no reading was taken yet"


def test_a_line_of_a_megabyte_is_paged_and_searched_fast() -> None:
    step = answered("<|im_start|>ab " * 70_000)
    begun = time.process_time()
    assert len(reread([step], 1, 500_000)) < PAGE + 300
    assert len(reread([step], 1, find="ab")) < PAGE + 300
    assert time.process_time() - begun < 3
