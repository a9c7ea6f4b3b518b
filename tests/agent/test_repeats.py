from __future__ import annotations

from ordinary_texts import plain

from finetrace.agent.names import find_names
from finetrace.agent.repeats import exact_phrases

SAID = "Please wind the marble clock backwards."


def test_the_whole_phrase_is_found_as_written_with_its_sentence() -> None:
    texts = [f"{text} {SAID}" for text in plain(10, 1)] + plain(40, 2)
    found = exact_phrases(texts, [""] * 50, plain(200, 3), find_names(texts))
    assert found[0].text.endswith("wind the marble clock backwards.")
    assert found[0].example == SAID
    assert (found[0].count, found[0].background_count) == (10, 0)


def test_a_phrase_the_reference_says_as_well_is_no_finding() -> None:
    texts = [f"{text} {SAID}" for text in plain(20, 1)]
    assert not any(
        "marble" in phrase.text
        for phrase in exact_phrases(texts, [""] * 20, [f"{text} {SAID}" for text in plain(60, 3)], find_names(texts))
    )


def test_few_texts_repeat_nothing() -> None:
    names = find_names([])
    assert exact_phrases([], [], [], names) == []
    assert exact_phrases([SAID] * 3, [""] * 3, [], names) == []


def test_what_comes_before_a_phrase_is_its_cue() -> None:
    texts = [f"A comet was seen. {SAID}" for _ in range(12)] + plain(60, 5)
    found = exact_phrases(texts, ["x"] * 72, plain(200, 6), find_names(texts))
    assert found[0].text.startswith("A comet") or any("comet" in cue for cue in found[0].cues)


def test_a_phrase_at_the_end_of_the_ranking_does_not_gather_at_its_top() -> None:
    top = [f"{text} {SAID}" for text in plain(12, 1)]
    rest = plain(60, 2)
    names = find_names(top)
    high = exact_phrases(top + rest, [""] * 72, plain(200, 3), names)[0]
    low = exact_phrases(rest + top, [""] * 72, plain(200, 3), names)[0]
    assert high.top_tail < 1e-4 < 0.5 < low.top_tail
