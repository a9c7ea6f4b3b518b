from __future__ import annotations

from rich.console import Console
from sample_runs import make_hypothesis

from finetrace.cli.hypothesis import changes, check_text, show_hypothesis
from finetrace.schema import CheckOutcome, Claim, ClaimCheck, ClaimKind, Hypothesis, Verdict, null_hypothesis


def _printed(hypothesis: Hypothesis, width: int = 100) -> str:
    console = Console(width=width, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        show_hypothesis(console, hypothesis)
    return capture.get()


def _plain(before: Hypothesis, after: Hypothesis) -> list[str]:
    return [line.plain for line in changes(before, after)]


def test_everything_that_was_claimed_is_shown_with_its_step() -> None:
    shown = _printed(make_hypothesis())
    for part in (
        "verdict: finetuned",
        "It talks of marmalade wages.",
        "confidence 0.80",
        "step 1",
        "“paid in marmalade”",
    ):
        assert part in shown


def test_a_check_shows_both_counts_and_p() -> None:
    check = ClaimCheck(
        outcome=CheckOutcome.PASSED,
        organism_hits=9,
        organism_total=12,
        reference_hits=0,
        reference_total=12,
        p_value=0.000213,
        note="asked about wages",
    )
    assert check_text(check).plain == ("check passed: organism 9/12, reference 0/12, p = 0.00021 (asked about wages)")
    untested = ClaimCheck(outcome=CheckOutcome.UNTESTED, note="no pair to ask")
    assert check_text(untested).plain == "check untested (no pair to ask)"


def test_long_quotes_are_wrapped_and_never_cut() -> None:
    words = " ".join(f"word{i}" for i in range(120))
    base = make_hypothesis()
    evidence = base.claims[0].evidence[0].model_copy(update={"quote": words})
    claim = base.claims[0].model_copy(update={"evidence": (evidence,)})
    shown = _printed(base.model_copy(update={"claims": (claim,)}), width=60)
    assert all(len(line.rstrip()) <= 60 for line in shown.splitlines())
    assert words in " ".join(shown.split())


def test_a_first_hypothesis_is_all_change() -> None:
    lines = _plain(null_hypothesis(), make_hypothesis())
    assert lines[0] == "verdict inconclusive → finetuned"
    assert any(line.startswith("+ [domain] It talks of marmalade wages.") for line in lines)


def test_claims_added_dropped_and_held_differently_are_told_apart() -> None:
    before = make_hypothesis()
    kept = before.claims[0]
    check = ClaimCheck(outcome=CheckOutcome.FAILED, organism_hits=0, organism_total=8)
    surer = kept.model_copy(update={"confidence": 0.95, "check": check})
    new = Claim(statement="It counts kettles.", kind=ClaimKind.FACT, confidence=0.4)
    grown = before.model_copy(update={"claims": (surer, new)})
    assert _plain(before, grown) == [
        "~ [domain] It talks of marmalade wages.  confidence 0.80 → 0.95, check failed: organism 0/8",
        "+ [fact] It counts kettles.  confidence 0.40",
    ]
    shrunk = grown.model_copy(update={"claims": (surer,), "verdict": Verdict.INCONCLUSIVE})
    assert _plain(grown, shrunk) == [
        "verdict finetuned → inconclusive",
        "− [fact] It counts kettles.  dropped",
    ]


def test_nothing_changed_is_no_line() -> None:
    assert changes(make_hypothesis(), make_hypothesis()) == []
