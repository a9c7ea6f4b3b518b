"""`finetrace grade-pairs`: how far the grader agrees with labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from finetrace.cli import console

if TYPE_CHECKING:
    from finetrace.evals.grading_pairs import GradedPair, PairsReport

_FAR = 2
"""Grades from which a pair is listed as misgraded."""
_SHOWN = 90


def grade_pairs_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Labelled pairs, one JSON object a line.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Grade labelled pairs of a truth and a hypothesis, and measure how far the grades agree with the labels.

    A line of the file is {organism, type, objective, key_facts, hypothesis, grade, why}. Lists of keywords made from
    the truths are graded besides: the best of them, and of those in the file, is keyword_soup_max.
    """
    from finetrace.cli.progress import progress_bar
    from finetrace.evals.grading_pairs import grade_pairs, load_pairs

    pairs = load_pairs(file)
    from finetrace.evals.offline_grader import OfflineGrader

    with progress_bar(console.remarks()) as advance:
        report = grade_pairs(OfflineGrader(), pairs, lambda done: advance("grading", done, len(pairs)))
    if as_json:
        console.print_json(report_json(report))
    else:
        _show(report)


def report_json(report: PairsReport) -> dict[str, Any]:
    """The object that ``--json`` prints."""
    found = report.agreement
    return {
        "grader": report.grader,
        "pairs": len(report.graded),
        "unscorable": report.unscorable,
        "quadratic_weighted_kappa": found.quadratic_weighted_kappa,
        "exact": found.exact,
        "within_one": found.within_one,
        "mean_error": found.mean_error,
        "keyword_soup_max": report.keyword_soup_max,
        "keyword_soups": report.soups,
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
        "given": each.grade.score,
        "reason": each.grade.reason,
        "facts": [{"fact": fact.fact, "found": fact.found, "outcome": fact.outcome.value} for fact in each.grade.facts],
    }


def _show(report: PairsReport) -> None:
    from rich.table import Table

    from finetrace.cli.escaping import visible

    found, out = report.agreement, console.results()
    table = Table(title=f"{len(report.graded)} pairs by {report.grader}: labelled grade against given")
    for heading in ("labelled", *(str(grade) for grade in found.confusion), "pairs"):
        table.add_column(heading, justify="right")
    for label, given in found.confusion.items():
        table.add_row(str(label), *(str(n) if n else "" for n in given.values()), str(sum(given.values())))
    out.print(table)
    figures = {
        "quadratic-weighted kappa": _figure(found.quadratic_weighted_kappa),
        "exact": _figure(found.exact),
        "within one": _figure(found.within_one),
        "mean error": _figure(found.mean_error),
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


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
