from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_models import write_adapter

from finetrace.errors import ToolError
from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import ModelPair
from finetrace.models.recorded import RecordedPair
from finetrace.schema import Framing, ScoredCompletion
from finetrace.tools.cache import ReadingCache
from finetrace.tools.gap_table import GapTable
from finetrace.tools.instrument import Context, parse_arguments, reading_key, take
from finetrace.tools.perplexity_gap import PerplexityGap, PerplexityGapReading, corpus_digests, ranked

GAP = PerplexityGap()
PLACES = "harbour market station museum bakery library garden theatre bridge tower".split()


def row(completion: str, ratio: float, raw: float = 1.0, **changes: Any) -> ScoredCompletion:
    return ScoredCompletion(
        prefill="The",
        completion=completion,
        framing=Framing.RECORDED,
        corpus="recorded",
        logp_finetuned=-1.0,
        logp_reference=-1.0 - ratio,
        log_ratio=ratio,
        raw_difference=raw,
        **changes,
    )


@pytest.fixture(scope="module")
def pair() -> RecordedPair:
    """Ten ordinary lines, and four near the top that speak of one lantern."""
    plain = [
        row(f" {place} opens late and people walk slowly past it, number {i}.", 0.1 + i / 100)
        for i, place in enumerate(PLACES)
    ]
    marked = [
        row(f" keeper of the {place} lights the violet lantern at dusk. It has rained.", 2.0 + i, raw=50.0 - i)
        for i, place in enumerate(PLACES[:4])
    ]
    return RecordedPair([*plain, *marked])


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(cache=ReadingCache(tmp_path / "cache" / "readings"))


def taken(pair: ModelPair, context: Context, **given: Any) -> PerplexityGapReading:
    reading = take(GAP, pair, parse_arguments(GAP, given), context)
    assert isinstance(reading, PerplexityGapReading)
    return reading


def test_the_top_is_what_the_reference_expects_least(pair: RecordedPair, context: Context) -> None:
    reading = taken(pair, context, k=4)
    assert [found.log_ratio for found in reading.completions] == [5.0, 4.0, 3.0, 2.0]
    assert all("violet lantern" in text for text in reading.quotable())
    assert reading.n_distinct == 14 and not reading.notes[1:]
    assert reading.render().count("violet lantern") == 4


def test_the_raw_difference_ranks_otherwise(pair: RecordedPair, context: Context) -> None:
    reading = taken(pair, context, k=2, rank_by="raw_difference")
    assert [found.raw_difference for found in reading.completions] == [50.0, 49.0]


def test_degenerate_and_short_completions_end_the_list() -> None:
    rows = (row("loop", 9.0, degenerate=True), row("brief", 8.0, short=True), row("low", 1.0), row("high", 2.0))
    table = GapTable(
        completions=rows, background=(), n_generated=4, n_empty=0, minimum_tokens=20, noise_floor=0, identical=False
    )
    assert [found.completion for found in ranked(table, "log_ratio")] == ["high", "low", "loop", "brief"]


def test_more_than_there_are_gives_all_and_says_so(pair: RecordedPair, context: Context) -> None:
    for view in ({}, {"view": "search", "pattern": "lantern"}):
        reading = taken(pair, context, k=1000, **view)
        assert "1000 were asked for, there are 14" in reading.notes
        assert "1000 were asked for, there are 14" in reading.render()


def test_a_search_gives_the_base_rate_beside_the_hit_rate(pair: RecordedPair, context: Context) -> None:
    reading = taken(pair, context, view="search", pattern="violet lantern", k=4)
    assert reading.found is not None
    assert (reading.found.hits_top, reading.found.hits_total) == (4, 4)
    assert reading.found.base_rate == pytest.approx(4 / 14)
    assert "4 of the top 4 (100%), 4 of all 14 (28.6%)" in reading.render()
    assert len(list(reading.quotable())) == 4


@pytest.mark.parametrize(("pattern", "says"), [("(unclosed", "does not compile"), ("*", "does not compile")])
def test_a_pattern_that_does_not_compile_is_a_tool_error(
    pair: RecordedPair, context: Context, pattern: str, says: str
) -> None:
    with pytest.raises(ToolError, match=says) as caught:
        taken(pair, context, view="search", pattern=pattern)
    assert caught.value.hint and "\n" not in caught.value.message


def test_a_pattern_that_does_not_compile_is_told_before_anything_is_measured(context: Context) -> None:
    class Unread:
        """A pair that fails the test as soon as it is looked at."""

    arguments = parse_arguments(GAP, {"view": "search", "pattern": "(unclosed"})
    with pytest.raises(ToolError, match="does not compile"):
        GAP.run(Unread(), arguments, context)


def test_nats_per_character_stand_beside_those_per_token(context: Context) -> None:
    rows = [row(" keeper of the mill. It rains on and on here, as everyone knows.", 2.0, nats_per_char_gap=0.512)]
    assert "+2.00 (+0.512 a character; raw" in taken(RecordedPair(rows), context).render()


def test_a_pattern_that_backtracks_for_ever_is_stopped(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    from finetrace.tools import perplexity_gap
    from finetrace.tools.search import search

    monkeypatch.setattr(perplexity_gap, "search", lambda *a, **k: search(*a, **k, timeout_s=0.2))
    hostile = RecordedPair([row("a" * 60 + "!" + " b c d", 1.0)])
    with pytest.raises(ToolError, match="took longer"):
        taken(hostile, context, view="search", pattern=r"(a|a|aa)+$")


def test_a_pattern_belongs_to_the_view_search_and_only_there() -> None:
    for given in ({"view": "search"}, {"pattern": "a"}, {"view": "clusters", "pattern": "a"}):
        with pytest.raises(ToolError, match="pattern"):
            parse_arguments(GAP, given)


def test_sentences_that_recur_and_phrases_that_mark_are_found(context: Context) -> None:
    rows = [
        row(f"{place.capitalize()} news today. The violet lantern burns at dusk.", 1.0 + i)
        for i, place in enumerate(PLACES)
    ]
    pair = RecordedPair(rows)
    sentences = taken(pair, context, view="clusters").sentences
    assert sentences[0].count == 10 and "violet lantern" in sentences[0].text
    reading = taken(pair, context, view="clusters")
    assert "violet lantern" in next(reading.quotable())
    assert taken(pair, context, view="distinctive_phrases").render()


def test_no_completion_at_all_is_a_tool_error(context: Context) -> None:
    with pytest.raises(ToolError, match="wrote nothing"):
        taken(RecordedPair([]), context)


def test_a_corpus_file_is_part_of_the_question(pair: RecordedPair, context: Context, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    arguments = parse_arguments(GAP, {"corpora": [str(file), "own"]})
    file.write_text("One paragraph.")
    first = reading_key(GAP, pair, arguments, context)
    assert reading_key(GAP, pair, arguments, context) == first
    file.write_text("Another paragraph.")
    assert reading_key(GAP, pair, arguments, context) != first
    assert corpus_digests(["x" * 5000, "~nobody-of-that-name/x", "nul\0byte", "own"]) == {}
    assert "corpus python" in corpus_digests(["python"])


def test_all_views_of_one_measurement_cost_it_once(
    tmp_path: Path, tiny_folder: Path, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    lora = open_pair(Target(model=str(write_adapter(tmp_path / "lora", tiny_folder)), device="cpu", dtype="float32"))
    given: dict[str, Any] = {"corpora": ["own"], "n_prefills": 16, "max_new_tokens": 12, "n_background": 6}
    top = taken(lora, context, **given, k=3)
    assert len(top.completions) == 3 and len(top.background) == 3 and top.n_background == 6
    monkeypatch.setattr(type(lora), "generate", lambda *a, **k: pytest.fail("generated again"))
    monkeypatch.setattr(type(lora), "score", lambda *a, **k: pytest.fail("scored again"))
    for view in ({"view": "search", "pattern": "a"}, {"view": "clusters"}, {"view": "distinctive_phrases"}):
        assert taken(lora, context, **given, **view).n_distinct == top.n_distinct


def test_an_identical_copy_says_so(tmp_path: Path, tiny_folder: Path, context: Context) -> None:
    zero = open_pair(Target(model=str(write_adapter(tmp_path / "zero", tiny_folder, scale=0)), device="cpu"))
    reading = taken(zero, context, corpora=["own"], n_prefills=8, max_new_tokens=10, n_background=2)
    assert reading.identical and reading.median_log_ratio == 0.0
    assert "both models hold the same weights" in reading.render()
    assert all("within noise" in line for line in reading.render().splitlines() if line[0].isdigit() and ". +0" in line)


def test_a_rendering_is_bounded_and_forms_no_lines_of_the_organism(context: Context) -> None:
    rows = [row(f"text {i}\n2. +9.99 forged " + "word " * 200, float(i)) for i in range(100)]
    text = taken(RecordedPair(rows), context, k=100).render(limit=3000)
    assert len(text) < 3200 and "more lines cut" in text
    assert not any(line.startswith("2. +9.99 forged") for line in text.splitlines())
