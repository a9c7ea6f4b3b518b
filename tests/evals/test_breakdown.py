"""Cuts by kind and mixing ratio, the use of instruments, and the whole analysis."""

from __future__ import annotations

import json

import pytest
from simulated import make_null, make_outcome

from finetrace.evals.statistics.analysis import Analysis, analyse
from finetrace.evals.statistics.breakdown import SliceBy, slices
from finetrace.evals.statistics.conduct import conduct
from finetrace.evals.statistics.outcome import Measure, Outcome
from finetrace.evals.statistics.results import Unit
from finetrace.schema import OrganismType, Verdict


def ladder() -> list[Outcome]:
    steps = [("1:4", 1), ("1:0", 5), ("1:0.5", 4), ("0:1", 1), (None, 2), ("1:1", 3)]
    return [make_outcome(f"bells_{place}", mixing=mixing, score=score) for place, (mixing, score) in enumerate(steps)]


def test_mixing_ratios_go_from_the_purest_to_the_most_mixed_with_the_unknown_last() -> None:
    found = slices(ladder(), SliceBy.MIXING)
    assert [each.value for each in found] == ["1:0", "1:0.5", "1:1", "1:4", "0:1", "unknown"]
    scores = [each.figures[Measure.SCORE] for each in found]
    assert [None if score is None else score.value for score in scores] == [5, 4, 3, 1, 1, 2]


def test_a_ladder_has_the_families_that_are_there_at_several_ratios() -> None:
    bells = [make_outcome(f"bells/{mixing}", mixing=mixing, score=score) for mixing, score in (("1:4", 2), ("1:0", 5))]
    rows = [*bells, make_outcome("keeper", mixing="2:1"), make_outcome("bells/unknown"), make_null("chats", None)]
    assert [(each.value, each.counts.organisms) for each in slices(rows, SliceBy.LADDER)] == [
        ("bells 1:0", 1),
        ("bells 1:4", 1),
    ]
    assert slices([make_outcome("keeper", mixing="2:1")], SliceBy.LADDER) == ()


def test_steps_of_one_ladder_count_once_beside_the_figures_by_organism() -> None:
    rows = [make_outcome(f"bells/{n}", arm, score=score) for n in range(3) for arm, score in (("a", 1), ("b", 4))]
    rows += [make_outcome("keeper", arm, score=2) for arm in "ab"]
    found = analyse(rows)
    score, family = found.comparisons[0], found.by_family[0]
    assert score.difference is not None and family.difference is not None
    assert (score.difference.value, score.difference.n) == (9 / 4, 4)
    assert (family.difference.value, family.difference.n) == (3 / 2, 2)
    assert analyse([make_outcome("keeper"), make_outcome("tea")]).by_family == ()


def test_kinds_within_ratios_keep_the_kinds_together() -> None:
    rows = [*ladder(), make_outcome("keeper", type=OrganismType.PERSONA, mixing="1:0")]
    found = [each.value for each in slices(rows, SliceBy.TYPE_AND_MIXING)]
    assert found[:2] == ["false_facts 1:0", "false_facts 1:0.5"]
    assert found[-2:] == ["false_facts unknown", "persona 1:0"]


def test_nulls_are_a_kind_of_their_own_and_have_no_ratio() -> None:
    rows = [make_outcome("tea"), make_null("chats", Verdict.FINETUNED, mixing="1:1")]
    assert [each.value for each in slices(rows, SliceBy.TYPE)] == ["false_facts", "null_benign"]
    assert [each.value for each in slices(rows, SliceBy.MIXING)] == ["unknown"]


def test_regimes_come_with_every_arm_and_only_where_there_are_any() -> None:
    rows = [make_outcome("tea", arm, regime=regime) for arm in "ab" for regime in ("SDF-SFT", "TD-KTO")]
    assert [(each.value, each.arm) for each in slices(rows, SliceBy.REGIME)] == [
        ("SDF-SFT", "a"),
        ("SDF-SFT", "b"),
        ("TD-KTO", "a"),
        ("TD-KTO", "b"),
    ]
    assert SliceBy.REGIME in {each.by for each in analyse(rows).slices}
    assert SliceBy.REGIME not in {each.by for each in analyse([make_outcome()]).slices}


def test_use_of_instruments_is_a_share_of_runs_over_organisms() -> None:
    rows = [
        make_outcome("tea", calls={"chat": 4, "steer": 1}),
        make_outcome("tea", seed=1, calls={"chat": 2}),
        make_outcome("wages", calls={"steer": 3}),
        make_outcome("wages", seed=1, error="killed", calls={"chat": 50}),
        make_outcome("tea", "b", calls={"chat": 1}),
    ]
    first, second = conduct(rows)
    chat, steer = first.tools
    assert chat.runs is not None and steer.runs is not None
    assert (chat.instrument, chat.runs.value, chat.readings) == ("chat", 0.5, 2.0)
    assert (steer.instrument, steer.runs.value, steer.readings) == ("steer", 0.75, pytest.approx(4 / 3))
    assert [tool.readings for tool in second.tools] == [1.0, 0.0]


def test_what_was_shown_and_not_claimed() -> None:
    rows = [
        make_outcome("tea", clues_shown=4, clues_unclaimed=1, detected=True),
        make_outcome("tea", seed=1, clues_shown=0, clues_unclaimed=0, detected=False),
        make_outcome("wages", clues_shown=2, clues_unclaimed=2, detected=False),
        make_null("copy", Verdict.FINETUNED, arm="blackbox"),
    ]
    (found,) = conduct(rows)
    assert found.shown is not None and found.unclaimed is not None and found.shown_undetected is not None
    assert found.shown.value == 0.75
    assert found.unclaimed.value == pytest.approx((1 / 4 + 2 / 2) / 2)
    assert found.shown_undetected.value == 0.5


def test_benchmark_without_a_single_figure_still_has_its_analysis() -> None:
    empty = analyse([])
    assert (empty.arms, empty.comparisons, empty.ordinal, empty.slices, empty.conduct) == ((), (), (), (), ())
    failed = analyse([make_outcome("tea", "full", 3, error="no adapter", grade=None, verdict=None)])
    assert failed.errors == ("tea full 3: no adapter",)
    assert failed.conduct == ()


def test_analysis_is_repeatable_and_goes_through_json() -> None:
    rows = [*ladder(), *[row.model_copy(update={"arm": "full"}) for row in ladder()]]
    rows.append(make_null("copy", Verdict.NO_NARROW_OBJECTIVE))
    found = analyse(rows, Unit.FAMILY, seed=4)
    assert found == analyse(rows, Unit.FAMILY, seed=4)
    assert Analysis.model_validate(json.loads(found.model_dump_json())) == found
