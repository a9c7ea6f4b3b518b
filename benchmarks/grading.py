"""How well the offline grader's weights hold on objectives that they were not fitted on.

    python benchmarks/grading.py FILE...

Each objective is left out in turn, the weights are fitted on the others' labelled pairs by ridge regression, and the
pairs of the one left out are graded with them. The rules of the rubric stay as they are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from finetrace.evals.grading.agreement import agreement
from finetrace.evals.grading.embedding import load_embedding
from finetrace.evals.grading.null_answer import NullAnswer, null_answer
from finetrace.evals.grading.pairs import GradingPair, load_pairs
from finetrace.evals.grading.rubric import FEATURES, INVENTED, SOME_REACHED, Reading, blend, read, score
from finetrace.evals.grading.said import Said, Vectors
from finetrace.evals.grading.truth_words import is_null

_RIDGE = 3.0


class Fitted(NamedTuple):
    """A blend."""

    intercept: float
    weights: tuple[float, ...]


def fit(pairs: list[tuple[GradingPair, Reading]]) -> Fitted:
    """Ridge regression of the grades on standardised features; what a rule takes off is added back first."""
    kept = [(pair, reading) for pair, reading in pairs if not reading.soup and not reading.itself]
    rows: npt.NDArray[np.float64] = np.array([[getattr(r, name) for name in FEATURES] for _, r in kept])
    wanted = np.array([p.grade + INVENTED * bool(r.invented and r.reached >= SOME_REACHED) for p, r in kept])
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    scaled = (rows - mean) / spread
    slopes = np.linalg.solve(scaled.T @ scaled + _RIDGE * np.eye(len(FEATURES)), scaled.T @ (wanted - wanted.mean()))
    weights = slopes / spread
    return Fitted(float(wanted.mean() - mean @ weights), tuple(float(weight) for weight in weights))


def main(files: list[str]) -> None:
    """Print the fitted weights, and the agreement with each objective left out and with none."""
    pairs = [pair for file in files for pair in load_pairs(Path(file))]
    vectors = Vectors(load_embedding())
    real = [(p, read(Said(p.hypothesis), p.truth, vectors)) for p in pairs if not is_null(p.truth)]
    nulls = {NullAnswer.NONE: 5, NullAnswer.HEDGED: 3, NullAnswer.CLAIM: 1}
    labels = [p.grade for p in pairs if is_null(p.truth)]
    given = [nulls[null_answer(p.hypothesis)] for p in pairs if is_null(p.truth)]

    def graded(pair: GradingPair, reading: Reading, fitted: Fitted) -> int:
        return score(reading, pair.truth, blend(reading, *fitted)).score

    whole = fit(real)
    left_out = {each.organism: fit([(p, r) for p, r in real if p.organism != each.organism]) for each, _ in real}
    found = {
        name: agreement([*labels, *(p.grade for p, _ in real)], [*given, *grades])._asdict()
        for name, grades in (
            ("left_out", [graded(p, r, left_out[p.organism]) for p, r in real]),
            ("fitted_on_all", [graded(p, r, whole) for p, r in real]),
        )
    }
    print(json.dumps({"fitted": whole._asdict(), "pairs": len(pairs), **found}, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
