from __future__ import annotations

import math

import pytest
import torch
from planted_pairs import PLANTED_LAYER, planted_pair, token_of
from small_models import other_tokenizer
from transformers import PreTrainedTokenizerFast

from finetrace.models.interior import Interior
from finetrace.models.pair import Side
from finetrace.models.residual import adding
from finetrace.tools import added
from finetrace.tools.added import Added

IDS = torch.randint(3, 320, (12, 5), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return other_tokenizer()


@pytest.fixture(scope="module")
def inside(tokenizer: PreTrainedTokenizerFast) -> Interior:
    return planted_pair(tokenizer).pair.interior


def test_the_planted_token_gains_most(tokenizer: PreTrainedTokenizerFast, inside: Interior) -> None:
    vector = planted_pair(tokenizer).vector
    gained, lost, nothing = Added(inside, IDS).changes(PLANTED_LAYER, torch.stack([vector, -vector, 0 * vector]))
    assert int(gained.argmax()) == token_of(tokenizer) and gained.max() > 1
    assert int(lost.argmax()) != token_of(tokenizer) and lost[token_of(tokenizer)] < 0
    assert nothing.abs().max() < 1e-4


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_it_is_the_mean_change_under_a_plain_addition(inside: Interior, layer: int) -> None:
    vector = torch.randn(32, generator=torch.Generator().manual_seed(1))
    plain = inside.next_logps(Side.REFERENCE, IDS)
    expected = (inside.next_logps(Side.REFERENCE, IDS, adding(layer, vector)) - plain).mean(0)
    assert torch.allclose(Added(inside, IDS).changes(layer, vector[None])[0], expected, atol=1e-4)


def test_what_the_reference_never_says_does_not_count(inside: Interior, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(added, "PLAUSIBLE", 50)
    change = Added(inside, IDS).changes(1, torch.ones(1, 32))[0]
    likely = inside.next_logps(Side.REFERENCE, IDS).exp().mean(0).topk(50).indices
    assert set(torch.isfinite(change).nonzero()[:, 0].tolist()) == set(likely.tolist())
    assert (change == -math.inf).sum() == 320 - 50
