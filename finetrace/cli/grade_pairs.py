"""`finetrace grade-pairs`: how far graders agree with labels, with each other and with themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finetrace.cli import console
from finetrace.cli.judging import GraderNames, GradesOfEach, GradingCost, figure

if TYPE_CHECKING:
    from finetrace.cli.judging import OpenGraders
    from finetrace.evals.grading.grader_agreement import GraderAgreement
    from finetrace.evals.grading.pairs import GradedPair, GradingPair, PairsReport

_FAR = 2
"""Grades from which a pair is listed as misgraded."""
_SHOWN = 90
_OVERLAP = 4
"""Grades of a language model that are waited for at the same time."""


def grade_pairs_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Labelled pairs, one JSON object a line.")],
    grader: GraderNames = None,
    grades: GradesOfEach = 1,
    max_cost: GradingCost = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Grade labelled pairs of a truth and a hypothesis, and measure how far the grades agree with the labels.

    A line of the file is {organism, type, objective, key_facts, hypothesis, grade, why}. Lists of keywords made from
    the truths are graded besides: the best of them, and of those in the file, is keyword_soup_max.
    """
    from finetrace.cli.judging import open_graders, show_agreement
    from finetrace.evals.grading.pairs import load_pairs

    pairs = load_pairs(file)
    graders = open_graders(grader, grades, max_cost)
    reports = _grade(graders, pairs)
    graders.tell_usage()
    between = _agreement(reports)
    if as_json:
        first, *others = [_report_json(report) for report in reports]
        agreement = None if between is None else between.model_dump(mode="json")
        console.print_json(first | {"other_graders": others, "agreement": agreement})
        return
    for report in reports:
        _show(report)
    show_agreement(console.results(), between)


def _grade(graders: OpenGraders, pairs: Sequence[GradingPair]) -> list[PairsReport]:
    """Let every grader grade every pair; says first what language models will take."""
    from finetrace.cli.language_models import remark
    from finetrace.cli.progress import progress_bar
    from finetrace.evals.grading.estimate import estimate_pairs
    from finetrace.evals.grading.pairs import grade_pairs

    for each in graders.all:
        if each.model is not None:
            remark(f"estimate for {each.name}: {estimate_pairs(pairs, len(each.draws), each.model.price)}")
    reports = []
    with progress_bar(console.remarks()) as advance:
        for each in graders.all:

            def tell(
                done: int, stage: str = f"grading by {each.name}", total: int = len(pairs) * len(each.draws)
            ) -> None:
                advance(stage, done, total)

            overlap = 1 if each.model is None else _OVERLAP
            reports.append(grade_pairs(each.draws, pairs, tell, overlap=overlap, enough=graders.spent))
    ungraded = sum(report.ungraded for report in reports)
    if ungraded:
        remark(f"--max-cost is reached: {ungraded} grades were not asked for")
    return reports


def _agreement(reports: Sequence[PairsReport]) -> GraderAgreement | None:
    from finetrace.evals.grading.grader_agreement import Given, grader_agreement

    return grader_agreement(
        [
            Given(str(each.number), report.grader, each.repeat, each.grade.score)
            for report in reports
            for each in report.graded
        ]
    )


def _report_json(report: PairsReport) -> dict[str, Any]:
    """One grader in the object that ``--json`` prints."""
    found = report.agreement
    return {
        "grader": report.grader,
        "pairs": len({each.number for each in report.graded}),
        "unscorable": report.unscorable,
        "ungraded": report.ungraded,
        "quadratic_weighted_kappa": found.quadratic_weighted_kappa,
        "exact": found.exact,
        "within_one": found.within_one,
        "mean_error": found.mean_error,
        "keyword_soup_max": report.keyword_soup_max,
        "keyword_soups": report.soups,
        "usage": report.usage.model_dump(mode="json"),
        "grades": [
            {"grade": label, "count": sum(given.values()), "given": {str(grade): n for grade, n in given.items()}}
            for label, given in found.confusion.items()
        ],
        "graded": [_pair_json(each) for each in report.graded],
    }


def _pair_json(each: GradedPair) -> dict[str, Any]:
    return {
        "organism": each.pair.organism,
        "hypothesis": each.pair.hypothesis,
        "grade": each.pair.grade,
        "repeat": each.repeat,
        "given": each.grade.score,
        "reason": each.grade.reason,
        "facts": [{"fact": fact.fact, "found": fact.found, "outcome": fact.outcome.value} for fact in each.grade.facts],
    }


def _show(report: PairsReport) -> None:
    from rich.table import Table

    from finetrace.cli.escaping import visible

    found, out = report.agreement, console.results()
    title = f"{len(report.graded)} grades by {report.grader}: labelled grade against given"
    table = Table(title=visible(title, one_line=True))
    for heading in ("labelled", *(str(grade) for grade in found.confusion), "grades"):
        table.add_column(heading, justify="right")
    for label, given in found.confusion.items():
        table.add_row(str(label), *(str(n) if n else "" for n in given.values()), str(sum(given.values())))
    out.print(table)
    figures = {
        "quadratic-weighted kappa": figure(found.quadratic_weighted_kappa),
        "exact": figure(found.exact),
        "within one": figure(found.within_one),
        "mean error": figure(found.mean_error),
        "unscorable": str(report.unscorable),
        f"best of {report.soups} lists of keywords": "-"
        if report.keyword_soup_max is None
        else report.keyword_soup_max,
    }
    for name, value in figures.items():
        out.print(f"{name}: {value}")
    for each in report.graded:
        if each.grade.score is not None and abs(each.grade.score - each.pair.grade) >= _FAR:
            said = visible(each.pair.hypothesis, one_line=True)[:_SHOWN]
            out.print(
                f"{each.pair.grade} graded {each.grade.score}: {visible(each.pair.organism, one_line=True)}: {said}"
            )
