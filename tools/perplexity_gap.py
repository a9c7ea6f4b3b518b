"""`perplexity_gap`: what the organism writes that the reference would not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from finetrace.errors import ToolError
from finetrace.models.pair import Capability, ModelPair
from finetrace.schema import ScoredCompletion
from finetrace.tools.clusters import clusters
from finetrace.tools.gap_table import GapSettings, GapTable, measure
from finetrace.tools.instrument import Context
from finetrace.tools.phrases import distinctive_phrases
from finetrace.tools.reading import Reading, bounded, one_line
from finetrace.tools.search import SearchResult, compile_pattern, search


class View(StrEnum):
    """Which side of the measurement to look at; all views of one measurement cost it once."""

    TOP = "top"
    SEARCH = "search"
    CLUSTERS = "clusters"
    DISTINCTIVE_PHRASES = "distinctive_phrases"


class PerplexityGapArguments(GapSettings):
    """Arguments of `perplexity_gap`."""

    view: View = Field(
        default=View.TOP,
        description="`top`: the highest-ranked completions. `search`: how often a pattern occurs near the top and in "
        "all. `clusters`: sentences that recur. `distinctive_phrases`: phrases that the reference does not use.",
    )
    k: int = Field(default=20, ge=1, le=100_000, description="How many to return; for `search`, how many count as top.")
    pattern: str | None = Field(
        default=None, max_length=2000, description="Regular expression; needed for the view `search` and only there."
    )
    rank_by: Literal["log_ratio", "raw_difference"] = Field(
        default="log_ratio", description="The raw difference of perplexities is the published ranking."
    )

    @model_validator(mode="after")
    def _pattern_for_search(self) -> PerplexityGapArguments:
        if (self.pattern is None) == (self.view is View.SEARCH):
            raise ValueError("give a pattern for the view `search`, and only there")
        return self


class RecurringSentence(BaseModel):
    """A sentence that several completions hold, in variants."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    """Its commonest variant."""
    count: int
    """Completions that hold it."""


class DistinctivePhrase(BaseModel):
    """A phrase that marks the top completions off from the background."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    """Lower-case words."""
    count: int
    """Top completions that hold it."""
    background_count: int
    """Background completions that hold it."""
    log_odds: float
    """Log odds ratio with an informative prior, nats."""
    score: float
    """The same in standard errors."""


class PerplexityGapReading(Reading):
    """One view of a measurement."""

    view: View
    """What was looked at."""
    rank_by: str
    """The ranking in force."""
    n_generated: int
    """Completions generated, duplicates and empty ones included."""
    n_distinct: int
    """Completions ranked."""
    n_background: int
    """Completions of the reference to compare with."""
    minimum_tokens: int
    """Minimum length in force; 0 for none."""
    noise_floor: float
    """Log ratios up to this size, nats per token, are numerical noise."""
    identical: bool
    """Both models hold the same weights: nothing can differ."""
    median_log_ratio: float
    """Over all completions, nats per token."""
    notes: tuple[str, ...] = ()
    """What a reader must know."""
    completions: tuple[ScoredCompletion, ...] = ()
    """The first ``k`` of the ranking."""
    background: tuple[str, ...] = ()
    """Completions of the reference on the same prefills, as many as completions were asked for at most."""
    found: SearchResult | None = None
    """The view ``search``."""
    sentences: tuple[RecurringSentence, ...] = ()
    """The view ``clusters``."""
    phrases: tuple[DistinctivePhrase, ...] = ()
    """The view ``distinctive_phrases``."""

    def render(self, limit: int = 6000) -> str:
        """The measurement in three lines, then the view."""
        return bounded([*self._head(), *self._body()], limit)

    def _head(self) -> list[str]:
        lines = [
            f"{self.n_generated} completions, {self.n_distinct} distinct, ranked by {self.rank_by}; median log ratio "
            f"{self.median_log_ratio:+.3f}, noise floor {self.noise_floor:.3f} nats per token",
        ]
        if self.identical:
            lines.append("both models hold the same weights: no difference")
        return lines + [f"note: {note}" for note in self.notes]

    def _body(self) -> list[str]:
        if self.view is View.TOP:
            return [_completion_line(rank, row, self.noise_floor) for rank, row in enumerate(self.completions, 1)]
        if self.view is View.SEARCH and self.found is not None:
            return _search_lines(self.found)
        if self.view is View.CLUSTERS:
            return [f"{s.count}× {one_line(s.text)}" for s in self.sentences] or ["no sentence recurs"]
        return [
            f"{p.text}: {p.count} of the top, {p.background_count} of {self.n_background} in the background, "
            f"z {p.score:.1f}"
            for p in self.phrases
        ] or ["no phrase stands out"]

    def quotable(self) -> Iterator[str]:
        """Completions, their prefills joined on, and the sentences found."""
        for row in self.completions:
            yield row.prefill + row.completion
        if self.found is not None:
            for hit in self.found.hits:
                yield hit.completion
        for sentence in self.sentences:
            yield sentence.text


def _completion_line(rank: int, row: ScoredCompletion, noise: float) -> str:
    flags = [
        flag
        for flag, present in (
            (f"{row.copies} copies", row.copies > 1),
            ("degenerate", row.degenerate),
            ("short", row.short),
            ("within noise", abs(row.log_ratio) <= noise),
        )
        if present
    ]
    marks = f" [{', '.join(flags)}]" if flags else ""
    per_character = "" if row.nats_per_char_gap is None else f"{row.nats_per_char_gap:+.3f} a character; "
    about = f"{per_character}raw {row.raw_difference:+.1f}; {row.framing}, {row.corpus}"
    return f"{rank}. {row.log_ratio:+.2f} ({about}){marks} «{one_line(row.prefill, 60)}» {one_line(row.completion)}"


def _search_lines(found: SearchResult) -> list[str]:
    lift = "no hit" if found.lift is None else f"lift {found.lift:.1f}"
    head = (
        f"/{one_line(found.pattern, 100)}/: {found.hits_top} of the top {found.top} ({found.rate_top:.0%}), "
        f"{found.hits_total} of all {found.total} ({found.base_rate:.1%}); {lift}, "
        f"p {found.tail_probability:.2g} for a random ranking"
    )
    return [head, *(f"{hit.rank + 1}. {hit.log_ratio:+.2f} {one_line(hit.completion)}" for hit in found.hits)]


class PerplexityGap:
    """Ranks what the organism writes after tiny neutral beginnings by how little the reference expects it.

    What narrow finetuning put in tends to come first, also when nobody asks for it. The log ratio is in nats per token;
    values within the noise floor mean nothing, and any finetuning, harmless ones included, lifts its own habits: look
    for content that recurs and that the background does not have. Backdoors show in few completions: search for them.
    Costs no interactions; asking for another view of the same measurement is free.
    """

    name: ClassVar[str] = "perplexity_gap"
    arguments: ClassVar[type[BaseModel]] = PerplexityGapArguments
    reading: ClassVar[type[Reading]] = PerplexityGapReading
    needs: ClassVar[tuple[frozenset[Capability], ...]] = (
        frozenset({Capability.GENERATE, Capability.REFERENCE, Capability.LOGPROBS}),
        frozenset({Capability.COMPLETIONS}),
    )

    def cost(self, arguments: Any) -> int:
        """None: the prefills ask for nothing."""
        return 0

    def determinants(self, pair: ModelPair, arguments: Any, context: Context) -> dict[str, str]:
        """Digests of corpora that are not the same everywhere and for ever."""
        return corpus_digests(arguments.corpora)

    def run(self, pair: ModelPair, arguments: Any, context: Context) -> PerplexityGapReading:
        """Measure, or take the measurement from the cache, and show one view."""
        if arguments.pattern is not None:
            compile_pattern(arguments.pattern)  # a measurement takes minutes, and would be for nothing
        settings = GapSettings(**{name: getattr(arguments, name) for name in GapSettings.model_fields})
        table = measure(pair, settings, context)
        rows = ranked(table, arguments.rank_by)
        return PerplexityGapReading(
            instrument=self.name,
            view=arguments.view,
            rank_by=arguments.rank_by,
            n_generated=table.n_generated,
            n_distinct=len(rows),
            n_background=len(table.background),
            minimum_tokens=table.minimum_tokens,
            noise_floor=table.noise_floor,
            identical=table.identical,
            median_log_ratio=median([row.log_ratio for row in rows]) if rows else 0.0,
            notes=(*table.notes, *_asked_too_much(arguments, len(rows))),
            **_view(table, rows, arguments),
        )


def corpus_digests(corpora: Sequence[str]) -> dict[str, str]:
    """What each corpus depends on beside its name: a file on its content, `python` on the running Python."""
    from finetrace.models.loading import digest_file

    digests: dict[str, str] = {}
    for name in corpora:
        if name == "python":
            digests[f"corpus {name}"] = sys.version
        # What is no file, or one that may not be read, has a better error when the corpus is loaded.
        with contextlib.suppress(OSError, RuntimeError):
            if (path := Path(name).expanduser()).is_file():
                digests[f"corpus {name}"] = digest_file(path)
    return digests


def ranked(table: GapTable, rank_by: Literal["log_ratio", "raw_difference"]) -> list[ScoredCompletion]:
    """The table's completions, sound ones first: degenerate and short ones end the list."""
    return sorted(table.completions, key=lambda row: (row.degenerate or row.short, -getattr(row, rank_by)))


def _asked_too_much(arguments: PerplexityGapArguments, n: int) -> tuple[str, ...]:
    if arguments.k > n and arguments.view in (View.TOP, View.SEARCH):
        return (f"{arguments.k} were asked for, there are {n}",)
    return ()


def _view(table: GapTable, rows: Sequence[ScoredCompletion], arguments: PerplexityGapArguments) -> dict[str, Any]:
    if not rows:
        raise ToolError("the organism wrote nothing after any prefill", "try other corpora or framings")
    if arguments.view is View.TOP:
        return {"completions": tuple(rows[: arguments.k]), "background": table.background[: arguments.k]}
    if arguments.view is View.SEARCH:
        return {"found": search(arguments.pattern or "", rows, top=arguments.k)}
    top = [row.completion for row in rows[: max(100, len(rows) // 10)] if not row.degenerate]
    if arguments.view is View.CLUSTERS:
        found = clusters(top, k=arguments.k)
        return {"sentences": tuple(RecurringSentence(text=c.representative, count=c.count) for c in found)}
    phrases = distinctive_phrases(top, table.background, k=arguments.k)
    return {
        "phrases": tuple(
            DistinctivePhrase(
                text=p.text,
                count=p.count,
                background_count=p.background_count,
                log_odds=round(p.log_odds, 4),
                score=round(p.score, 3),
            )
            for p in phrases
        )
    }
