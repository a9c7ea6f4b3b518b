"""Search ranked completions for a pattern, with the chance level beside every count."""

from __future__ import annotations

import time
from collections.abc import Sequence

import regex
from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import ToolError
from finetrace.schema import ScoredCompletion


class Hit(BaseModel):
    """A completion that holds the pattern."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(ge=0)
    """Place in the ranking, 0 is first."""
    match: str
    """What the pattern matched, at most 200 characters."""
    completion: str
    """Text around the match, at most 200 characters either side."""
    log_ratio: float
    """Nats per token."""


class SearchResult(BaseModel):
    """How often a pattern occurs near the top of a ranking and in all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: str
    """As it was given."""
    top: int = Field(ge=0)
    """Completions that count as the top: the asked for number, or all where there are fewer."""
    total: int = Field(ge=0)
    """Completions searched."""
    hits_top: int = Field(ge=0)
    """Completions of the top that hold the pattern."""
    hits_total: int = Field(ge=0)
    """All completions that hold it."""
    rate_top: float
    """``hits_top / top``."""
    base_rate: float
    """``hits_total / total``."""
    expected_top: float
    """Hits that a random ranking would have in the top."""
    lift: float | None
    """``hits_top / expected_top``; ``None`` without any hit."""
    tail_probability: float
    """Probability that a random ranking has as many hits in the top or more (hypergeometric)."""
    first_rank: int | None
    """Rank of the first hit."""
    hits: tuple[Hit, ...]
    """The first hits, in order of rank."""


def search(
    pattern: str,
    completions: Sequence[ScoredCompletion],
    *,
    top: int = 100,
    timeout_s: float = 5.0,
    max_hits: int = 20,
    ignore_case: bool = True,
) -> SearchResult:
    """Count the completions that hold a regular expression, in the top of the ranking and in all of it.

    Args:
        pattern: Regular expression in the syntax of the package ``regex``.
        completions: Ranked, most surprising to the reference first.
        top: Size of the top; more than there are means all.
        timeout_s: Seconds for the whole search.
        max_hits: Hits to return in full.
        ignore_case: Whether letters match in either case.

    Raises:
        ToolError: The pattern does not compile, or takes too long.
    """
    compiled = compile_pattern(pattern, ignore_case=ignore_case)
    deadline = time.monotonic() + timeout_s
    ranks: list[int] = []
    hits: list[Hit] = []
    for rank, completion in enumerate(completions):
        match = _match(compiled, completion.completion, deadline - time.monotonic(), timeout_s)
        if match is None:
            continue
        ranks.append(rank)
        if len(hits) < max_hits:
            start, end = match.span()
            around = completion.completion[max(0, start - 200) : min(end, start + 200) + 200]
            hits.append(Hit(rank=rank, match=match.group()[:200], completion=around, log_ratio=completion.log_ratio))
    top = min(max(top, 0), len(completions))
    return _result(pattern, ranks, hits, top, len(completions))


def compile_pattern(pattern: str, *, ignore_case: bool = True) -> regex.Pattern[str]:
    """The regular expression, ready to search with.

    Raises:
        ToolError: It does not compile.
    """
    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except (regex.error, OverflowError, RecursionError) as fault:
        raise ToolError(
            f"the pattern does not compile: {fault}",
            "escape special characters with a backslash, or search for plain words",
        ) from fault


def _match(compiled: regex.Pattern[str], text: str, left_s: float, timeout_s: float) -> regex.Match[str] | None:
    try:
        if left_s <= 0:
            raise TimeoutError
        return compiled.search(text, timeout=left_s)
    except TimeoutError as fault:
        raise ToolError(
            f"the pattern took longer than {timeout_s:g} s",
            "avoid nested repeats such as (a+)+; search for a shorter, more literal pattern",
        ) from fault


def _result(pattern: str, ranks: Sequence[int], hits: Sequence[Hit], top: int, total: int) -> SearchResult:
    from scipy.stats import hypergeom

    in_top = sum(rank < top for rank in ranks)
    expected = top * len(ranks) / total if total else 0.0
    return SearchResult(
        pattern=pattern,
        top=top,
        total=total,
        hits_top=in_top,
        hits_total=len(ranks),
        rate_top=in_top / top if top else 0.0,
        base_rate=len(ranks) / total if total else 0.0,
        expected_top=expected,
        lift=in_top / expected if expected else None,
        tail_probability=float(hypergeom.sf(in_top - 1, total, len(ranks), top)) if total else 1.0,
        first_rank=ranks[0] if ranks else None,
        hits=tuple(hits),
    )
