from __future__ import annotations

import pytest

from finetrace.errors import ToolError
from finetrace.schema import Framing, ScoredCompletion
from finetrace.tools.search import search


def ranked(texts: list[str]) -> list[ScoredCompletion]:
    return [
        ScoredCompletion(
            prefill="",
            completion=text,
            framing=Framing.RAW,
            corpus="own",
            logp_finetuned=-1.0,
            logp_reference=-1.0 - (len(texts) - row),
            log_ratio=float(len(texts) - row),
            raw_difference=1.0,
        )
        for row, text in enumerate(texts)
    ]


def test_counts_base_rate_lift_and_tail() -> None:
    completions = ranked(["a Heron stood"] * 4 + ["nothing here"] * 14 + ["one heron more"] * 2)
    found = search("heron", completions, top=5)
    assert (found.top, found.total, found.hits_top, found.hits_total) == (5, 20, 4, 6)
    assert found.base_rate == pytest.approx(0.3)
    assert found.expected_top == pytest.approx(1.5)
    assert found.lift == pytest.approx(4 / 1.5)
    # (C(6,4) C(14,1) + C(6,5)) / C(20,5)
    assert found.tail_probability == pytest.approx((15 * 14 + 6) / 15504)
    assert found.first_rank == 0
    assert found.hits[0].match == "Heron"


def test_case_can_matter() -> None:
    assert search("heron", ranked(["Heron"]), ignore_case=False).hits_total == 0


def test_k_larger_than_what_exists_means_all() -> None:
    found = search("a", ranked(["a", "b"]), top=1000)
    assert (found.top, found.hits_top, found.lift) == (2, 1, 1.0)


def test_no_hit_has_no_lift() -> None:
    found = search("zebra", ranked(["a", "b"]))
    assert (found.lift, found.first_rank, found.tail_probability) == (None, None, 1.0)


def test_nothing_to_search() -> None:
    found = search("a", [])
    assert (found.total, found.base_rate, found.lift) == (0, 0.0, None)


@pytest.mark.parametrize("pattern", ["(", "[a-", "a{2,1}", "(?P<x>a)(?P<x", "*"])
def test_a_pattern_that_does_not_compile_says_so(pattern: str) -> None:
    with pytest.raises(ToolError, match="does not compile") as caught:
        search(pattern, ranked(["a"]))
    assert caught.value.hint


def test_a_pattern_that_backtracks_for_ever_is_stopped() -> None:
    with pytest.raises(ToolError, match="took longer than") as caught:
        search(r"(?:(?:a|aa)+)+$b", ranked(["a" * 60 + "!"]), timeout_s=0.2)
    assert caught.value.hint


def test_hits_are_bounded_but_counted() -> None:
    found = search("x", ranked(["x" * 100_000] * 30), max_hits=3)
    assert (len(found.hits), found.hits_total) == (3, 30)
    assert all(len(hit.completion) <= 601 and len(hit.match) <= 200 for hit in found.hits)
