"""The tables of a benchmark in the terminal: in 80 columns an interval stands beneath its figure, in more beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from finetrace.evals.statistics.analysis import Analysis
    from finetrace.evals.statistics.breakdown import Slice
    from finetrace.evals.statistics.comparison import Comparison, InvestigatorFit
    from finetrace.evals.statistics.conduct import ToolUse
    from finetrace.evals.statistics.intervals import Interval
    from finetrace.evals.statistics.outcome import Measure
    from finetrace.evals.statistics.permutation import PairedTest

HEADS = {
    "score": "score",
    "score_at_least_2": "≥ 2",
    "score_at_least_4": "≥ 4",
    "detected": "detected",
    "identified_at_1": "@1",
    "identified_at_5": "@5",
}
"""Columns by measure."""
_CUTS = {
    "ladder": "mixing ladder",
    "type": "by type",
    "mixing": "by mixing",
    "type_and_mixing": "by type and mixing",
    "regime": "by regime",
}
"""Cuts that are shown, and what stands over each."""
_WIDE = 110
"""Columns from which everything stands in one line."""
_MOST_ERRORS = 12


class _OfArm(Protocol):
    """Whatever is said of one arm."""

    @property
    def investigator(self) -> str: ...
    @property
    def arm(self) -> str: ...


class _Cell(NamedTuple):
    """One figure of a table with the arms side by side."""

    label: str
    arm: str
    text: str


class Tables:
    """Tables for one console.

    Args:
        out: Where to.
        analysis: What they show.
    """

    def __init__(self, out: Console, analysis: Analysis) -> None:
        self._out = out
        self._analysis = analysis
        self._wide = out.width >= _WIDE
        self._several = len({arm.investigator for arm in analysis.arms}) > 1

    def show(self) -> None:
        """All of them, what matters most first."""
        self._show_arms()
        self._show_nulls()
        self._show_cut("ladder")
        self._show_comparisons()
        for fit in self._analysis.ordinal:
            self._show_ordinal(fit)
        for by in _CUTS:
            if by != "ladder":
                self._show_cut(by)
        self._show_conduct()
        self._show_errors()

    def _show_arms(self) -> None:
        table = new_table("arm", "runs", "errors", *HEADS.values())
        for arm in self._analysis.arms:
            counts = arm.counts
            table.add_row(self._name(arm), str(counts.runs), str(counts.errors), *self._cells(arm.figures))
        self._put(table)
        arms = self._analysis.arms
        if arms:
            most = max((arm.counts for arm in arms), key=lambda counts: counts.organisms)
            families = "" if most.families == most.organisms else f" of {most.families} families"
            unscored = sum(arm.counts.unscored for arm in arms)
            told = f", {unscored} runs without a score" if unscored else ""
            self._say(f"{most.organisms} organisms{families}; rates in %; 95 % intervals over organisms{told}")

    def _show_nulls(self) -> None:
        found = [(arm, arm.nulls) for arm in self._analysis.arms if arm.nulls is not None]
        if not found:
            return
        table = new_table("nulls", "runs", "errors", "called finetuned", "in any run, of nulls", "undecided", "score")
        for arm, nulls in found:
            shares = (nulls.false_positives, nulls.organisms_with_any, nulls.inconclusive)
            counts = (str(nulls.counts.runs), str(nulls.counts.errors))
            table.add_row(self._name(arm), *counts, *map(self._share, shares), self._span(nulls.score))
        self._put(table, gap=True)
        most = max(nulls.counts.organisms for _, nulls in found)
        self._say(
            f"{most} nulls, rates in % with exact limits; those over runs take runs of one null for independent, which "
            "they are not: the rate over nulls is the cautious one"
        )
        for arm, nulls in found:
            for name, times in nulls.called.items():
                self._say(f"called finetuned: {name} in {self._name(arm)}, {times} times")

    def _show_comparisons(self) -> None:
        table = new_table("difference", "of", "n", "mean", "p", "Holm")
        rows = [*self._analysis.comparisons, *(each for each in self._analysis.by_family if each.measure == "score")]
        powerless = False
        for each in rows:
            if each.difference is None:
                continue
            powerless = powerless or not each.test.can_reject
            table.add_row(*self._difference(each))
        if not table.row_count:
            return
        self._put(table, gap=True)
        self._say("p: sign changes over organisms or families; Holm: corrected for all pairs of one measure")
        if powerless:
            self._say("*: too few differ for any p below 0.05")

    def _difference(self, each: Comparison) -> list[str]:
        who = f"{each.investigator} · " if self._several else ""
        percent = each.measure != "score"
        kind = HEADS.get(each.measure.value, each.measure.value) + ("" if each.unit == "organism" else ", families")
        held = each.difference
        if held is None:
            return []
        text = f"{100 * held.value:+.0f}" if percent else f"{held.value:+.2f}"
        if held.low is not None and held.high is not None:
            ends = (f"{100 * end:.0f}" if percent else f"{end:.2f}" for end in (held.low, held.high))
            text += f" [{', '.join(ends)}]"
        return [_plain(f"{who}{each.second} − {each.first}"), kind, str(held.n), text, *_p(each.test)]

    def _show_ordinal(self, held: InvestigatorFit) -> None:
        who = f" of {_plain(held.investigator)}" if self._several else ""
        fit = held.fit
        if fit is None or not fit.converged:
            why = held.why_not if fit is None else "it did not settle"
            self._out.print()
            self._say(f"ordinal model{who}: not fitted: {why}")
            return
        table = new_table(f"ordinal model{who}, against {_plain(fit.baseline)}", "log odds of a higher score", "p")
        for effect in fit.effects:
            size = f"{effect.log_odds:+.2f} [{effect.low:.2f}, {effect.high:.2f}]"
            table.add_row(_plain(effect.arm), size + (" †" if effect.extreme else ""), f"{effect.p_value:.3f}")
        self._put(table, gap=True)
        self._say(
            f"{fit.scores} scores of {fit.organisms} organisms, whose own effects differ by {fit.organism_sd:.1f}"
        )
        if any(effect.extreme for effect in fit.effects):
            self._say("†: the arms hardly overlap: the size means nothing beyond its sign")

    def _show_cut(self, by: str) -> None:
        """In a wide console every measure with its interval; else score and @1 with the arms side by side."""
        found = [each for each in self._analysis.slices if each.by == by]
        if all(each.value == "unknown" for each in found):
            return
        if self._wide:
            table = new_table(_CUTS[by], "arm", "organisms", *HEADS.values())
            for each in found:
                row = (_plain(each.value), self._name(each), _scored(each))
                table.add_row(*row, *self._cells(each.figures))
            self._put(table, gap=True)
            return
        self._beside(_CUTS[by], [_Cell(each.value, self._name(each), self._short(each)) for each in found])
        self._say("score · @1 in %; intervals and other measures in a wider terminal or with --json")

    def _show_conduct(self) -> None:
        uses = [
            _Cell(tool.instrument, self._name(arm), self._used(tool))
            for arm in self._analysis.conduct
            for tool in arm.tools
        ]
        if uses:
            self._beside("instrument", uses)
            self._say("share of runs that used it, in % · readings a run")
        clues = new_table("clues that bear on it", "shown", "of them unclaimed", "shown, not detected")
        for arm in self._analysis.conduct:
            clues.add_row(self._name(arm), *map(self._share, (arm.shown, arm.unclaimed, arm.shown_undetected)))
        if clues.row_count:
            self._put(clues, gap=True)

    def _show_errors(self) -> None:
        errors = self._analysis.errors
        if errors:
            self._out.print()
        for line in errors[:_MOST_ERRORS]:
            self._say(f"error: {line}")
        if len(errors) > _MOST_ERRORS:
            self._say(f"… and {len(errors) - _MOST_ERRORS} more: --json")

    def _beside(self, head: str, cells: Sequence[_Cell]) -> None:
        """One line for each label, one column for each arm."""
        arms = list(dict.fromkeys(cell.arm for cell in cells))
        texts = {(cell.label, cell.arm): cell.text for cell in cells}
        table = new_table(head, *arms)
        for label in dict.fromkeys(cell.label for cell in cells):
            table.add_row(_plain(label), *(texts.get((label, arm), "–") for arm in arms))
        self._put(table, gap=True)

    def _used(self, tool: ToolUse) -> str:
        if not tool.readings:
            return "–"
        share = self._share(tool.runs) if self._wide or tool.runs is None else f"{100 * tool.runs.value:.0f}"
        return f"{share} · {tool.readings:.1f}"

    @staticmethod
    def _short(each: Slice) -> str:
        """``2.41 · 67``: score and @1."""
        figures = {measure.value: interval for measure, interval in each.figures.items()}
        score, first = figures["score"], figures["identified_at_1"]
        if score is None and first is None:
            return "–"
        shown = "–" if score is None else f"{score.value:.2f}"
        return f"{shown} · {'–' if first is None else f'{100 * first.value:.0f}'}"

    def _name(self, row: _OfArm) -> str:
        return _plain(f"{row.investigator} · {row.arm}" if self._several else row.arm)

    def _cells(self, figures: Mapping[Measure, Interval | None]) -> list[str]:
        by_name = {measure.value: interval for measure, interval in figures.items()}
        return [self._span(by_name[name]) if name == "score" else self._share(by_name[name]) for name in HEADS]

    def _span(self, interval: Interval | None) -> str:
        return _figure(interval, 1.0, ".2f", wide=self._wide)

    def _share(self, interval: Interval | None) -> str:
        return _figure(interval, 100.0, ".0f", wide=self._wide)

    def _put(self, table: Table, *, gap: bool = False) -> None:
        if gap:
            self._out.print()
        self._out.print(table)

    def _say(self, line: str) -> None:
        self._out.print(_plain(line), soft_wrap=True)


def new_table(*heads: str) -> Table:
    """A table without lines, its first column text and the others figures."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for number, head in enumerate(heads):
        table.add_column(head, justify="left" if number == 0 else "right", overflow="fold")
    return table


def share_text(interval: Interval) -> str:
    """``67 [41, 87]``, in percent."""
    return _figure(interval, 100.0, ".0f", wide=True)


def _figure(interval: Interval | None, factor: float, form: str, *, wide: bool) -> str:
    """``67 [41, 87]``, or ``67`` above ``41–87``."""
    if interval is None:
        return "–"
    value = format(factor * interval.value, form)
    if interval.low is None or interval.high is None:
        return value
    low, high = (format(factor * end, form) for end in (interval.low, interval.high))
    return f"{value} [{low}, {high}]" if wide else f"{value}\n{low}–{high}"


def _scored(each: Slice) -> str:
    """``3``, or ``1 of 3`` where the others have no score."""
    score = {measure.value: interval for measure, interval in each.figures.items()}["score"]
    scored, there = 0 if score is None else score.n, each.counts.organisms
    return str(there) if scored == there else f"{scored} of {there}"


def _p(test: PairedTest) -> tuple[str, str]:
    """The p value as it is, and corrected; marked where it could not have been small."""
    mark = "" if test.can_reject else "*"
    corrected = "" if test.adjusted is None else f"{test.adjusted:.3f}"
    return f"{test.p_value:.3f}{mark}", corrected


def _plain(text: str) -> str:
    """A name, on one line, that cannot act on the terminal."""
    from finetrace.cli.escaping import visible

    return visible(text, one_line=True)
