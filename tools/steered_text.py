"""The texts of one steering: unsteered ones once, steered ones at any strength, each judged for coherence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from finetrace.models.pair import Completion, Decoding, ModelPair, Prompt, Side
from finetrace.tools.coherence import Coherence, reference_logps
from finetrace.tools.grading import judge_coherence
from finetrace.tools.instrument import Context

if TYPE_CHECKING:
    from torch import Tensor

_ROUND = 16
"""Texts of one round of the search at least: enough to leave a strength that is far from the bar."""
_LONGEST_ROUND = 24
"""And at most: of many prompts, as many are taken evenly."""
_CALIBRATION = 48
"""Unsteered texts that the limits of coherence come from, at least."""


@dataclass(frozen=True)
class Steering:
    """Who writes, and what is added."""

    side: Side
    layer: int
    """Counted from 0."""
    vector: Tensor
    """What strength 1 adds, `[d_model]`."""
    decoding: Decoding
    """Of the texts that are shown; the search draws others."""


class Steered(NamedTuple):
    """Texts and whether they hold together."""

    texts: tuple[str, ...]
    coherent: tuple[bool, ...]


class SteeredText:
    """Texts on a fixed list of prompts.

    Args:
        pair: The models.
        steering: Who writes, and what is added.
        prompts: What is put, at least one.
        samples: Texts shown for each prompt.
        context: Progress, and a grader where a language model is to judge.
    """

    def __init__(
        self, pair: ModelPair, steering: Steering, prompts: Sequence[Prompt], samples: int, context: Context
    ) -> None:
        self._pair, self._steering, self._context = pair, steering, context
        self._shown = [prompt for prompt in prompts for _ in range(samples)]
        self._round = _one_round(prompts, drawn=steering.decoding.temperature > 0)
        self._unread = 0
        self.unsteered, self.coherence = self._calibrate()

    def _calibrate(self) -> tuple[tuple[str, ...], Coherence]:
        """The unsteered texts to show, and the limits that they and more of their kind set."""
        prompts, written = list(self._shown), self._write(self._shown, None, 0, "unsteered text")
        number = 0
        while len(prompts) < _CALIBRATION and self._steering.decoding.temperature > 0:
            number += 1
            prompts += self._round
            written += self._write(self._round, None, number, "unsteered text")
        logps = reference_logps(self._pair, prompts, written, self._context.watch("reference reads unsteered text"))
        coherence = Coherence.of(logps, [one.text for one in written])
        return tuple(one.text for one in written[: len(self._shown)]), coherence

    def judge(self, strength: float, number: int) -> Sequence[bool]:
        """Which texts of one round at this strength hold together."""
        return self._steered(self._round, strength, number + 1, f"search: strength {strength:g}").coherent

    def final(self, strength: float) -> Steered:
        """The texts to show, drawn with the same random numbers as the unsteered ones."""
        return self._steered(self._shown, strength, 0, f"steered text: strength {strength:g}")

    def rule(self) -> str:
        """What counts as coherent, in words."""
        if self._context.grader is None:
            return self.coherence.line()
        unread = f"; {self._unread} of its answers could not be read: {self.coherence.line()}" if self._unread else ""
        return f"coherent: what {self._context.grader.name} calls so{unread}"

    def _steered(self, prompts: Sequence[Prompt], strength: float, number: int, stage: str) -> Steered:
        written = self._write(prompts, strength, number, stage)
        texts = tuple(one.text for one in written)
        if (graded := self._graded(texts)) is not None:
            return Steered(texts, tuple(graded))
        logps = reference_logps(self._pair, prompts, written)
        return Steered(texts, tuple(map(self.coherence.holds, logps, texts)))

    def _graded(self, texts: Sequence[str]) -> list[bool] | None:
        """What the grader says; nothing where there is none or its answer cannot be read."""
        if self._context.grader is None:
            return None
        graded = judge_coherence(self._context.grader, texts)
        self._unread += graded is None
        return graded

    def _write(self, prompts: Sequence[Prompt], strength: float | None, number: int, stage: str) -> list[Completion]:
        """Draw texts; ``number`` sets the random numbers, 0 for those that are shown."""
        from finetrace.models.residual import adding

        given = self._steering
        decoding = replace(given.decoding, seed=given.decoding.seed + number)
        edit = None if strength is None else adding(given.layer, given.vector * strength)
        return self._pair.interior.generate(given.side, prompts, decoding, edit, self._context.watch(stage))


def _one_round(prompts: Sequence[Prompt], *, drawn: bool) -> list[Prompt]:
    """The prompts of one round of the search: repeated where they are few and texts are drawn."""
    step = -(-len(prompts) // _LONGEST_ROUND)
    taken = list(prompts[::step])
    return taken * (-(-_ROUND // len(taken)) if drawn else 1)
