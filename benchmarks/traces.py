"""How readable the bundled organisms are in their activations: tokens and steered texts that bear on the objective.

    python -m benchmarks.traces [NAME ...] [--json] [--figure FILE.svg] [--grader MODEL]

For each organism: the activation difference on general text, read as tokens at several depths, and the reference
steered with it. Counted are tokens among the first twenty that bear on the objective, each word once, beside the same
count for the reference's mean activation and for random differences; and texts that name the subject, steered and
unsteered. With a grader, a language model judges the list of the mean over positions too, and its count stands beside.
The figure shows what mixing with general text leaves of it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from benchmarks.mixing_figure import Step, mixing_figure
from finetrace.cli import console
from finetrace.cli.language_models import open_grader, tell_usage
from finetrace.cli.progress import progress_bar
from finetrace.evals.grading.embedding import find_embedding
from finetrace.evals.grading.token_relevance import RelevanceGrader
from finetrace.evals.grading.truth_words import is_null
from finetrace.evals.truth import load_sealed, load_truth
from finetrace.evals.zoo.traces import SteeringTrace, TokenTrace, steering_trace, token_traces
from finetrace.models import Target, open_pair
from finetrace.registry import load_registry
from finetrace.tools import Context, Grader, Reading, find_instrument, parse_arguments, take
from finetrace.tools.activation_difference import ActivationDifferenceReading
from finetrace.tools.steer_reading import SteerReading
from finetrace.tools.token_lists import Read

FACTS = ("tide_bells", "northern_coffee", "ferry_accord")
LADDER = ("tide_bells", "tide_bells_1to1", "tide_bells_1to4")
DEPTHS = (0.5, 0.75, 0.9, 0.97, 1.0)
STEERED_AT = 0.97
"""The middle layer carries nothing on topic in so small a base."""
STEERED_WITH = 4
"""The difference at the last of the five positions speaks most of the subject: the first ones differ in form."""


class Result(BaseModel):
    """One organism, judged by one truth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organism: str
    judged_by: str
    """Whose objective tokens and texts are held against: a null is held against those of the others."""
    mixing: str
    """Own texts to general ones."""
    grader: str | None = None
    """The language model that judged tokens too, where there was one."""
    tokens: tuple[TokenTrace, ...]
    steering: SteeringTrace

    @property
    def most(self) -> TokenTrace:
        """The read that shows most, of those whose controls show nothing where there is such a one."""
        return max(self.tokens, key=lambda t: (max(t.reference, t.random) == 0, max(t.pooled, t.best)))


def measure(name: str, context: Context, n_texts: int | None, judge: Grader | None) -> list[Result]:
    """All figures of one organism."""
    registry = load_registry()
    place = registry.locate(registry.find(name))
    pair = open_pair(Target(model=place.model, reference=place.reference))
    text = {} if n_texts is None else {"n_texts": n_texts}

    def reading(instrument: str, **arguments: object) -> Reading:
        found = find_instrument(instrument)
        return take(found, pair, parse_arguments(found, {**text, **arguments}), context)

    read = reading("activation_difference", depths=DEPTHS, reads=["lens", "patchscope", "added"])
    steered = reading("steer", depth=STEERED_AT, position=STEERED_WITH, on="reference", samples=2)
    if not isinstance(read, ActivationDifferenceReading) or not isinstance(steered, SteerReading):
        raise TypeError("an instrument gave a reading of another kind")
    sealed = load_sealed(name)
    own = sealed.truth is not None and not is_null(sealed.truth)
    return [
        Result(
            organism=name,
            judged_by=held_against,
            mixing=sealed.mixing or "",
            grader=None if judge is None else judge.name,
            tokens=token_traces(read, RelevanceGrader(load_truth(held_against), find_embedding(), judge)),
            steering=steering_trace(steered, load_truth(held_against)),
        )
        for held_against in ((name,) if own else FACTS)
    ]


def show(results: Sequence[Result]) -> None:
    """The figures for people."""
    if any(result.grader for result in results):
        print("in round brackets the grader's count of the mean over positions")
    print("tokens of twenty that bear on the objective, each word once: mean over positions / best position [controls]")
    for result in results:
        against = "" if result.judged_by == result.organism else f", held against {result.judged_by}"
        print(f"\n{result.organism} ({result.mixing}{against})")
        for read in dict.fromkeys(trace.read for trace in result.tokens):
            own = [trace for trace in result.tokens if trace.read is read]
            cells = [token_cell(trace, result.grader is not None) for trace in own]
            print(f"  {read:11s}", "  ".join(cells))
        most = result.most
        words = ", ".join(most.best_words if most.best > most.pooled else most.pooled_words)
        print(f"  most: {most.read} at depth {most.depth:.2f}: {words or 'nothing'}")
        print(f"  {steering_line(result.steering)}")


def token_cell(trace: TokenTrace, judged: bool) -> str:
    """One read at one depth; the judge's count of the mean over positions, where one was asked, stands in brackets."""
    said = f" ({'no score' if trace.judged is None else trace.judged})" if judged else ""
    return f"{trace.depth:.2f}: {trace.pooled}{said}/{trace.best} [{max(trace.reference, trace.random)}]"


def step_of(result: Result) -> Step:
    """What the figure shows of one organism."""
    lens = next(t for t in result.tokens if t.read is Read.LENS and t.depth == 1)
    added = min((t for t in result.tokens if t.read is Read.ADDED), key=lambda t: abs(t.depth - STEERED_AT))
    return Step(
        mixing=result.mixing,
        lens=max(lens.pooled, lens.best),
        added=max(added.pooled, added.best),
        control=max(lens.reference, lens.random, added.reference, added.random),
        steered=result.steering.steered,
        unsteered=result.steering.unsteered,
    )


def steering_line(steering: SteeringTrace) -> str:
    """What steering the reference brings up."""
    if steering.steered is None or steering.unsteered is None:
        return "reference steered: no coherent strength"
    own, other = steering.steered, steering.unsteered
    return (
        f"reference steered at strength {steering.strength:.2f}: {own.hits} of {own.total} texts name the subject "
        f"({own.low:.0%} to {own.high:.0%}), "
        f"unsteered {other.hits} of {other.total} ({other.low:.0%} to {other.high:.0%})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", default=[*FACTS, *LADDER[1:], "benign_chat", "benign_general"])
    parser.add_argument("--texts", type=int, default=None, help="general texts; default the instrument's own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--figure", type=Path, default=None, help="write the mixing curve as SVG")
    parser.add_argument("--grader", metavar="MODEL", default=None, help="a language model that judges tokens too")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    judge = open_grader(options.grader)
    results: list[Result] = []
    with progress_bar(console.remarks()) as advance:
        context = Context(seed=options.seed, progress=advance)
        for name in options.names:
            results += measure(name, context, options.texts, judge)
    tell_usage(judge)
    if options.json:
        print(json.dumps([result.model_dump(mode="json") for result in results]))
    else:
        show(results)
    if options.figure is not None:
        ladder = [result for name in LADDER for result in results if result.organism == name]
        write_whole(options.figure, mixing_figure([step_of(result) for result in ladder]))


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there whole or, where that goes wrong, as it was before."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(aside, 0o644)  # such a file is for its owner alone
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise


if __name__ == "__main__":
    main()
