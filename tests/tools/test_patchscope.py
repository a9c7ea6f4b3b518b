from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from planted_pairs import planted_pair, token_of
from small_models import DEPTH, other_tokenizer
from small_models import WIDTH as WIDTH_OF_MODEL
from torch import Tensor

from finetrace.models.pair import Side
from finetrace.tools import patchscope
from finetrace.tools.patchscope import IDENTITY_PROMPTS, SCALES, Patchscope

WIDTH, VOCABULARY, NORM = 16, 400, 10.0
PROMPTS = ([1, 2], [3, 4], [5, 6])
SUBJECT = slice(100, 120)
"""Tokens that the planted direction speaks for."""


class Prompted:
    """Completes identity prompts by rule.

    Each prompt has tokens of its own that it leans to. The first coordinate of a state of middling length brings in the
    subject, whatever the prompt; a very long state drowns the prompt, whatever it points at.
    """

    def __init__(self, *, vocabulary: int = VOCABULARY, overflows: float = math.inf) -> None:
        self.vocabulary, self.overflows = vocabulary, overflows
        self.calls: list[int] = []

    def patched(self, side: Side, prompt: Sequence[int], layer: int, states: Tensor) -> Tensor:
        self.calls.append(len(states))
        draws = torch.Generator().manual_seed(prompt[0])
        own = torch.randn(self.vocabulary, generator=draws)
        same = torch.randn(self.vocabulary, generator=torch.Generator().manual_seed(99))
        length = states.norm(dim=-1, keepdim=True) / NORM
        logits = own + 0.2 * length * same
        subject = torch.zeros(self.vocabulary)
        subject[SUBJECT] = 8.0
        toward = (states[:, :1] / NORM).clamp(0, 1.5) * (length < 2.5)
        logits = logits + toward * subject
        logits[(length > self.overflows)[:, 0]] = math.nan
        return torch.log_softmax(logits, dim=-1)


def scope(inside: Any, random: int = 8) -> Patchscope:
    states = torch.randn(random, WIDTH, generator=torch.Generator().manual_seed(4))
    states[:, 0] = -1.0
    return Patchscope(inside, Side.ORGANISM, PROMPTS, 0, NORM, states)


@pytest.fixture
def planted() -> Tensor:
    return torch.eye(WIDTH)[0] * 0.01


def test_the_scale_is_the_one_at_which_prompts_agree_beyond_chance(planted: Tensor) -> None:
    (found,) = scope(Prompted()).choose(planted[None])
    assert 0.5 <= found.scale <= 2.0 and found.by_rule
    assert found.overlap > found.expected + 0.4
    assert all(100 <= token < 120 for token in found.logps.topk(15).indices.tolist())
    # At the largest scale they agree still more, and on nothing.
    (largest,) = scope(Prompted()).choose(planted[None], lambda logps: len(SCALES) - 1)
    assert largest.overlap >= found.overlap and largest.expected == pytest.approx(largest.overlap, abs=0.1)
    assert sum(100 <= token < 120 for token in largest.logps.topk(15).indices.tolist()) < 5


def test_a_scale_beyond_the_number_format_is_not_agreement(planted: Tensor) -> None:
    # The opposite of the planted direction: prompts agree on it less than by chance wherever there are numbers.
    vector = torch.zeros(WIDTH)
    vector[0] = -1.0
    scoped = scope(Prompted(overflows=2.2))
    scoped._expected = scoped._expected + 0.5
    (found,) = scoped.choose(vector[None])
    assert found.scale <= 2.0 and torch.isfinite(found.logps).any()
    scoped = scope(Prompted(overflows=0.0))
    (nothing,) = scoped.choose(planted[None])
    assert not torch.isfinite(nothing.logps).any()


def test_a_token_that_one_prompt_does_not_allow_is_dropped(planted: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Prompted):
        def patched(self, side: Side, prompt: Sequence[int], layer: int, states: Tensor) -> Tensor:
            logps = super().patched(side, prompt, layer, states)
            if prompt == [5, 6]:
                logps[:, 105] = -30.0
            return logps

    monkeypatch.setattr(patchscope, "AGREED", 300)
    inside = Refusing()
    logps = scope(inside).agreed(planted[None], torch.tensor([1.2]))[0]
    assert logps[105] == -math.inf and torch.isfinite(logps[104])
    # Two of three prompts say it loudly: a mean alone would show it.
    mean = scope(inside).at(planted[None], 1.2)[0]
    assert 105 in mean.topk(20).indices.tolist()
    assert torch.allclose(mean[104], logps[104])
    separate = torch.stack([inside.patched(Side.ORGANISM, p, 0, 1.2 * NORM * planted[None] / 0.01) for p in PROMPTS])
    assert torch.allclose(mean, separate[:, 0].exp().mean(0).log(), atol=1e-5)


def test_many_vectors_are_read_as_single_ones_are(planted: Tensor) -> None:
    vectors = torch.stack([planted, -planted, *torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(5))])
    inside = Prompted()
    scoped = scope(inside)
    inside.calls.clear()
    together = list(scoped.choose(vectors))
    assert sum(inside.calls) == len(vectors) * len(SCALES) * len(PROMPTS) and max(inside.calls) <= 128
    for one, vector in zip(together, vectors, strict=True):
        (alone,) = scoped.choose(vector[None])
        assert alone.scale == one.scale and torch.allclose(alone.logps, one.logps)
    scales = [found.scale for found in together]
    for reference, vector, scale in zip(scoped.agreed(vectors, torch.tensor(scales)), vectors, scales, strict=True):
        assert torch.allclose(reference, scoped.agreed(vector[None], torch.tensor([scale]))[0], atol=1e-5)


def test_controls_are_read_once_a_scale() -> None:
    inside = Prompted()
    scoped = scope(inside, random=20)
    inside.calls.clear()
    first, second, again = scoped.controls([1.0, 3.0, 1.0])
    assert inside.calls == [16, 16, 16] and first is again
    assert scoped.controls([3.0])[0] is second and len(inside.calls) == 3
    assert first.shape == (8, VOCABULARY) and torch.isfinite(first).all()


def test_another_may_choose_or_leave_it_to_the_rule(planted: Tensor) -> None:
    seen: list[Tensor] = []

    def third(logps: Tensor) -> int:
        seen.append(logps)
        return 3

    (found,) = scope(Prompted()).choose(planted[None], third)
    assert found.scale == SCALES[3] and not found.by_rule
    assert seen[0].shape == (len(SCALES), VOCABULARY) and torch.equal(seen[0][3], found.logps)
    (ruled,) = scope(Prompted()).choose(planted[None], lambda logps: None)
    (plain,) = scope(Prompted()).choose(planted[None])
    assert ruled.by_rule and ruled.scale == plain.scale


def test_a_vocabulary_smaller_than_a_list_and_a_zero_vector_are_read() -> None:
    (found,) = scope(Prompted(vocabulary=120)).choose(torch.zeros(1, WIDTH))
    assert torch.isfinite(found.logps).all()

    class Tiny(Prompted):
        def patched(self, side: Side, prompt: Sequence[int], layer: int, states: Tensor) -> Tensor:
            return super().patched(side, prompt, layer, states)[:, 100:107].log_softmax(-1)

    (few,) = scope(Tiny()).choose(torch.ones(1, WIDTH))
    assert few.logps.shape == (7,) and few.overlap == 1.0


def test_a_planted_direction_is_read_from_a_model() -> None:
    tokenizer = other_tokenizer()
    planted = planted_pair(tokenizer, layer=DEPTH - 1)
    prompts = tokenizer(list(IDENTITY_PROMPTS), add_special_tokens=False)["input_ids"]
    random = torch.randn(8, WIDTH_OF_MODEL, generator=torch.Generator().manual_seed(0))
    scoped = Patchscope(planted.pair.interior, Side.REFERENCE, prompts, DEPTH - 1, 10.0, random)
    (found,) = scoped.choose(planted.vector[None])
    assert int(found.logps.argmax()) == token_of(tokenizer)
    assert token_of(tokenizer) not in scoped.controls([found.scale])[0].argmax(-1).tolist()
