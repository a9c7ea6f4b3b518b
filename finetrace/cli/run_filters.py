"""Options that say which runs are meant, shared by `runs list` and `runs search`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from finetrace.errors import FinetraceError

if TYPE_CHECKING:
    from finetrace.store import GradeRange, RunFilter


class VerdictName(StrEnum):
    """The verdicts of `finetrace.schema.Verdict`; that module takes too long to import for a help text."""

    FINETUNED = "finetuned"
    NO_NARROW_OBJECTIVE = "no_narrow_objective"
    INCONCLUSIVE = "inconclusive"


Organism = Annotated[
    str | None, typer.Option("--organism", metavar="PATTERN", help="Name, family, or pattern such as 'tide_*'.")
]
ArmName = Annotated[str | None, typer.Option("--arm", metavar="PATTERN", help="blackbox is blackbox@50 too.")]
InvestigatorName = Annotated[
    str | None, typer.Option("--investigator", metavar="PATTERN", help="statistical, or such as 'openai/*'.")
]
OfVerdict = Annotated[VerdictName | None, typer.Option("--verdict", help="Of the answer.")]
Graded = Annotated[
    str | None, typer.Option("--grade", metavar="4|3-5|4+|none", help="Score of the latest grade, 1 to 5.")
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="3d, 12h, 2w, 2026-11-20 or '2026-11-20 14:30' (UTC).")
]
OfBench = Annotated[str | None, typer.Option("--bench", metavar="ID", help="Of one benchmark; last is the newest.")]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6})([mhdw])")
_GRADE = re.compile(r"([1-5])(?:(\+)|-([1-5]))?")


def filter_of(
    organism: str | None = None,
    arm: str | None = None,
    investigator: str | None = None,
    verdict: VerdictName | None = None,
    grade: str | None = None,
    since: str | None = None,
    bench: str | None = None,
) -> RunFilter:
    """The conditions as the store takes them.

    Raises:
        FinetraceError: One cannot be understood.
    """
    from finetrace.schema import Verdict
    from finetrace.store import RunFilter

    return RunFilter(
        organism=organism,
        arm=arm,
        investigator=investigator,
        verdict=None if verdict is None else Verdict(verdict.value),
        grade=None if grade is None else read_grade(grade),
        since=None if since is None else read_since(since, datetime.now(UTC)),
        bench=bench,
    )


def read_grade(text: str) -> GradeRange:
    """``4`` is 4 alone, ``3-5`` from 3 to 5, ``4+`` 4 or better, ``none`` without a score.

    Raises:
        FinetraceError: It is none of these.
    """
    from finetrace.store import GradeRange

    if text == "none":
        return GradeRange(0, 0)
    match = _GRADE.fullmatch(text)
    if match is None:
        raise FinetraceError(f"no grade '{text}'", "write 4, 3-5, 4+ or none")
    low = int(match[1])
    high = 5 if match[2] else int(match[3] or low)
    return GradeRange(min(low, high), max(low, high))


def read_since(text: str, now: datetime) -> datetime:
    """``3d`` is three days before now; also a date or a moment, in UTC unless it says otherwise.

    Raises:
        FinetraceError: It is neither.
    """
    match = _AGO.fullmatch(text)
    try:
        if match is not None:
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise FinetraceError(f"no time '{text}'", "write 3d, 12h, 2w, 2026-11-20 or '2026-11-20 14:30'") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
