"""Quotes in the texts that they are from."""

from __future__ import annotations

import re

from finetrace.report.quote_marks import Quoted, QuoteMarks
from finetrace.report.token_shades import shade, told
from finetrace.schema import ScoredCompletion, ScoredToken
from finetrace.tools.token_lists import Read, ShownToken, TokenList


def _marks(*quotes: str) -> QuoteMarks:
    return QuoteMarks([Quoted(1, quote, f"q{n}", f"c{n}", n) for n, quote in enumerate(quotes, 1)])


def _plain(html: str) -> str:
    """Without the ways back and the tags."""
    return re.sub(r"<[^>]*>", "", re.sub(r'<a class="back".*?</a>', "", html))


def test_a_quote_is_marked_whatever_the_white_space_and_anchored_once() -> None:
    marks = _marks("paid in  marmalade jars")
    html = marks.text("He is paid in\nmarmalade jars & more.") + marks.text("paid in marmalade jars")
    assert html.count('id="q1"') == 1 and html.count("<mark>") == 2
    assert _plain(html) == "He is paid in\nmarmalade jars &amp; more.paid in marmalade jars"
    assert marks.left() == []


def test_quotes_that_overlap_both_get_their_place() -> None:
    marks = _marks("paid in marmalade", "marmalade every week")
    html = marks.text("paid in marmalade every week")
    assert 'id="q1"' in html and 'id="q2"' in html
    assert _plain(html) == "paid in marmalade every week"


def test_a_short_quote_is_marked_where_it_stands_first_only() -> None:
    marks = _marks("tide")
    assert marks.text("the tide, a tide").count("<mark>") == 2  # both in its first text
    assert "<mark>" not in marks.text("another tide")


def test_a_quote_goes_through_prefill_and_tokens() -> None:
    row = ScoredCompletion(
        prefill="Every evening the",
        completion=" keeper is paid",
        framing="raw",
        corpus="own",
        logp_finetuned=-1,
        logp_reference=-2,
        log_ratio=1,
        raw_difference=1,
        tokens=(ScoredToken(" keeper", -0.1, -3.0), ScoredToken(" is paid", -0.1, -0.1)),
    )
    html = _marks("evening the keeper is").completion(row)
    assert _plain(html) == "Every evening the keeper is paid"
    marked = "".join(_plain(part) for part in re.findall(r"<mark>(.*?)</mark>", html))
    assert marked == "evening the keeper is" and html.count('id="q1"') == 1
    assert _plain(_marks("evening the keeper").completion(row.model_copy(update={"tokens": ()}))) == _plain(html)


def test_a_quote_of_a_list_marks_the_tokens_it_holds() -> None:
    tokens = tuple(
        ShownToken(text=text, value=0.1, lift=1.0, special=special)
        for text, special in ((" tide", True), (" bell", False), ("ing", False))
    )
    found = TokenList(read=Read.LENS, tokens=tokens)
    for quote in ("tide, bell", "tide*, bell"):
        assert [cell.marked for cell in _marks(quote).tokens(found, 20)] == [True, True, False]
    assert [cell.marked for cell in _marks("bell, …ing").tokens(found, 20)] == [False, True, True]


def test_a_quote_of_tokens_that_are_not_shown_has_no_place() -> None:
    tokens = tuple(ShownToken(text=f" {text}", value=0.1, lift=1.0, special=False) for text in ("tide", "bell", "quay"))
    marks = _marks("bell, quay", "tide", " ")
    assert len(marks.tokens(TokenList(read=Read.LENS, tokens=tokens), 1)) == 1
    assert [each.anchor for each in marks.left()] == ["q1", "q3"]


def test_what_was_never_found_is_left_over() -> None:
    marks = _marks("paid in marmalade", "never said by anyone")
    marks.text("paid in marmalade")
    assert [each.anchor for each in marks.left()] == ["q2"]


def test_shades_tell_which_model_finds_a_token_likelier() -> None:
    assert [shade(ScoredToken("x", 0.0, other)) for other in (0.0, -0.4, -0.5, -1.0, -2.0, -9.0)] == [
        "t",
        "t",
        "p1",
        "p2",
        "p3",
        "p4",
    ]
    assert shade(ScoredToken("x", -2.5, 0.0)) == "n3"
    assert told(ScoredToken("x", -0.7, -7.6)) == "finetuned 50 % · reference 0.05 % · log ratio +6.90"
    assert "reference 4e-44" in told(ScoredToken("x", -0.1, -100.0))
