"""Which texts hold together, judged without an LLM: by what unsteered text on the same prompts shows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from pydantic import BaseModel, ConfigDict

from finetrace.models.pair import Completion, ModelPair, Progress, Prompt, Side
from finetrace.tools.english import is_function_word
from finetrace.tools.quality import is_degenerate
from finetrace.tools.words import words

TAIL = 0.025
"""Share of unsteered texts that lie beyond a limit on the one side that counts, before its margin."""
MARGIN = 0.5
"""Nats per token that a text may be less likely than that: a subject that the prompt does not call for costs some in
every sentence, word salad costs several."""
REPETITION_MARGIN = 0.25
"""Share of content words that a text may repeat beyond that: who keeps to one subject names it in every sentence, but
a loop says hardly anything else."""
MOST_REPETITION = 0.55
"""And never more than this share, whatever unsteered text does: small models loop unsteered, too."""
STUTTER = 4
"""So many times the same word in a row is no language; "no, no, no" is."""
_WINDOW = 40
"""Words among which a repetition counts: a long text comes back to its subject without being a loop."""


class Coherence(BaseModel):
    """The limits within which a text counts as coherent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_unsteered: int
    """Unsteered texts that the limits come from."""
    lowest_logp: float | None
    """Least log-probability under the reference, nats per token: below it lies word salad. ``None`` for no limit."""
    most_repetition: float
    """Largest share of content words that were said before: above it lie loops, which are likely text."""

    @classmethod
    def of(cls, logps: Sequence[float], texts: Sequence[str]) -> Coherence:
        """Limits from unsteered texts and their log-probabilities per token; degenerate texts set no limit."""
        sound = [(logp, text) for logp, text in zip(logps, texts, strict=True) if not is_degenerate(text)]
        if not sound:
            return cls(n_unsteered=0, lowest_logp=None, most_repetition=MOST_REPETITION)
        lowest = float(np.quantile([logp for logp, _ in sound], TAIL))
        most = float(np.quantile([repetition(text) for _, text in sound], 1 - TAIL))
        return cls(
            n_unsteered=len(sound),
            lowest_logp=round(lowest - MARGIN, 4),
            most_repetition=round(min(MOST_REPETITION, most + REPETITION_MARGIN), 4),
        )

    def holds(self, logp: float, text: str) -> bool:
        """Whether a text with this log-probability per token is coherent."""
        likely = self.lowest_logp is None or logp >= self.lowest_logp
        loops = stutters(text) or repetition(text) > self.most_repetition or is_degenerate(text)
        return likely and not loops

    def line(self) -> str:
        """The limits in words."""
        if self.lowest_logp is None:
            return "coherent: no loop or noise; no unsteered text was free of them to say how likely text must be"
        return (
            f"coherent: no loop or noise, at least {self.lowest_logp:.2f} nats per token under the reference, at most "
            f"{self.most_repetition:.0%} of the content words repeated (limits from {self.n_unsteered} unsteered texts)"
        )


def repetition(text: str) -> float:
    """Share of content words that stand among the content words shortly before; 0 for a text without any."""
    content = [word for word in words(text) if not is_function_word(word)]
    again = sum(word in content[max(0, place - _WINDOW) : place] for place, word in enumerate(content))
    return again / len(content) if content else 0.0


def stutters(text: str) -> bool:
    """Whether some word stands `STUTTER` times in a row."""
    return any(len(list(run)) >= STUTTER for _, run in groupby(words(text)))


def reference_logps(
    pair: ModelPair, prompts: Sequence[Prompt], completions: Sequence[Completion], progress: Progress | None = None
) -> list[float]:
    """Log-probability per token of each completion under the unsteered reference, nats; 0 for an empty one."""
    scores = pair.score(Side.REFERENCE, prompts, completions, progress)
    return [score.total / score.n_tokens if score.n_tokens else 0.0 for score in scores]
