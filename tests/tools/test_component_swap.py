from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from planted_pairs import PLANTED_LAYER, planted_model, planted_vector, write_planted
from small_models import WIDTH
from torch import Tensor
from transformers import PreTrainedModel

from finetrace.models.interior import Interior
from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Side
from finetrace.models.residual import Edit, ResidualStream
from finetrace.tools.component_swap import TextStates, edited, edited_losses, read_texts, sink_tokens
from finetrace.tools.effects import bootstrap, percentile, spread

ROWS = ((5, 9, 200, 31, 77, 8), (14, 30, 90), (61, 62, 63, 64, 65, 66, 67, 68, 69))
NO_SINKS = torch.zeros(9, dtype=torch.bool)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return write_planted(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def interior(target: Target) -> Interior:
    return open_pair(target).interior


@pytest.fixture(scope="module")
def texts(interior: Interior) -> list[TextStates]:
    return read_texts(interior, ROWS, PLANTED_LAYER)


def unit(seed: int) -> Tensor:
    vector = torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def scored(texts: list[TextStates], side: Side) -> Tensor:
    return torch.tensor([text.losses[side] for text in texts], dtype=torch.float64)


@torch.no_grad()
def plain_losses(model: PreTrainedModel, other: PreTrainedModel | None, direction: Tensor) -> list[float]:
    """Whole forward passes of one text after the other, the change made by a hook."""
    found = []
    for row in ROWS:
        ids = torch.tensor([row])
        theirs = None if other is None else other(ids, output_hidden_states=True).hidden_states[PLANTED_LAYER + 1]

        def change(states: Tensor, theirs: Tensor | None = theirs) -> Tensor:
            along = states @ direction
            wanted = torch.zeros_like(along) if theirs is None else theirs @ direction
            return states + (wanted - along)[..., None] * direction

        with ResidualStream.of(model).editing(Edit(PLANTED_LAYER, change)):
            logits = model(ids, use_cache=False).logits[0, :-1]
        found.append(float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")))
    return found


def test_the_planted_direction_turns_each_model_into_the_other(interior: Interior, texts: list[TextStates]) -> None:
    planted = planted_vector() / planted_vector().norm()
    tried = torch.stack([torch.zeros(WIDTH), planted, *(unit(seed) for seed in range(20))])
    for side, other in ((Side.ORGANISM, Side.REFERENCE), (Side.REFERENCE, Side.ORGANISM)):
        losses = edited_losses(interior, side, texts, PLANTED_LAYER, tried, remove=False)
        own, theirs = scored(texts, side), scored(texts, other)
        assert torch.allclose(losses[:, 0], own, atol=1e-4)
        assert torch.allclose(losses[:, 1], theirs, atol=1e-3)
        way = (losses.sum(0) - own.sum()) / (theirs.sum() - own.sum())
        assert way[1] == pytest.approx(1, abs=1e-3)
        assert way[2:].abs().median() < 0.3


def test_removal_is_what_whole_forward_passes_give(interior: Interior, texts: list[TextStates]) -> None:
    directions = torch.stack([unit(1), unit(2), planted_vector() / planted_vector().norm()])
    for side, share in ((Side.ORGANISM, 1.0), (Side.REFERENCE, 0.0)):
        found = edited_losses(interior, side, texts, PLANTED_LAYER, directions, remove=True)
        for place, direction in enumerate(directions):
            assert found[:, place].tolist() == pytest.approx(
                plain_losses(planted_model(share), None, direction), abs=1e-3
            )
        assert (found - scored(texts, side)[:, None]).abs().max() > 0.01


def test_a_swap_is_what_whole_forward_passes_give(interior: Interior, texts: list[TextStates]) -> None:
    found = edited_losses(interior, Side.ORGANISM, texts, PLANTED_LAYER, unit(3)[None], remove=False)
    plain = plain_losses(planted_model(1.0), planted_model(0.0), unit(3))
    assert found[:, 0].tolist() == pytest.approx(plain, abs=1e-3)
    assert (found[:, 0] - scored(texts, Side.ORGANISM)).abs().max() > 0.01


def test_models_that_are_alike_swap_nothing_at_all(tmp_path: Path) -> None:
    interior = open_pair(write_planted(tmp_path, share=0.0)).interior
    texts = read_texts(interior, ROWS, PLANTED_LAYER)
    directions = torch.stack([torch.zeros(WIDTH), unit(1), unit(2)])
    for text in texts:
        own, other = text.states[Side.ORGANISM], text.states[Side.REFERENCE]
        assert torch.equal(edited(own, other, directions, text.sinks), own.expand(3, -1, -1))
    losses = edited_losses(interior, Side.ORGANISM, texts, PLANTED_LAYER, directions, remove=False)
    assert torch.equal(losses[:, 1:] - losses[:, :1], torch.zeros(3, 2, dtype=torch.float64))


def test_batches_of_directions_do_not_change_the_losses(
    interior: Interior, texts: list[TextStates], monkeypatch: pytest.MonkeyPatch
) -> None:
    directions = torch.stack([unit(seed) for seed in range(7)])
    whole = edited_losses(interior, Side.ORGANISM, texts, PLANTED_LAYER, directions, remove=True)
    monkeypatch.setattr("finetrace.tools.component_swap._ELEMENTS", 2 * 9 * WIDTH)
    seen: list[tuple[int, int]] = []
    parts = edited_losses(
        interior, Side.ORGANISM, texts, PLANTED_LAYER, directions, remove=True, progress=lambda *news: seen.append(news)
    )
    assert torch.allclose(whole, parts, atol=1e-4)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_removal_leaves_no_component_and_nothing_else_changes() -> None:
    states = torch.randn(9, WIDTH, generator=torch.Generator().manual_seed(0))
    (after,) = edited(states, None, unit(4)[None], NO_SINKS)
    assert torch.allclose(after @ unit(4), torch.zeros(9), atol=1e-5)
    across = unit(5) - (unit(5) @ unit(4)) * unit(4)
    assert torch.allclose(after @ across, states @ across, atol=1e-5)


def test_sinks_stay_as_they_are_and_their_predictions_are_not_scored(tmp_path: Path) -> None:
    states = torch.ones(9, WIDTH)
    states[3] *= 9
    norms = torch.stack([torch.ones(9), states.norm(dim=-1)])
    assert sink_tokens(norms, 0).nonzero().tolist() == [[3]]
    assert sink_tokens(norms, 2).nonzero().tolist() == [[0], [1], [3]]
    after = edited(states, None, unit(4)[None], sink_tokens(norms, 0))[0]
    assert torch.equal(after[3], states[3]) and not torch.equal(after[2], states[2])

    interior = open_pair(write_planted(tmp_path, bos=True)).interior
    texts = read_texts(interior, ROWS, PLANTED_LAYER)
    assert [text.n_scored for text in texts] == [5, 2, 8]
    assert [len(text.ids) for text in texts] == [7, 4, 10]
    logps = interior.token_logps(Side.ORGANISM, texts[1].ids[None])[0]
    assert texts[1].losses[Side.ORGANISM] == pytest.approx(-float(logps[1:].sum()), abs=1e-4)


def test_a_sink_of_the_middle_is_left_alone_where_it_is_hidden_again(
    interior: Interior, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = interior.states

    def with_sink(side: Side, ids: Tensor, layers: Sequence[int]) -> Tensor:
        found = states(side, ids, layers)
        found[[layer == 1 for layer in layers], :, 2] *= 50
        return found

    monkeypatch.setattr(interior, "states", with_sink)
    assert [text.sinks.nonzero().tolist() for text in read_texts(interior, ROWS, 2)] == [[[2]]] * 3
    assert all(not text.sinks.any() for text in read_texts(interior, ROWS, 0))


def test_one_at_a_time_loads_each_model_once(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = open_pair(Target(**{**target.__dict__, "one_at_a_time": True}))
    interior, seen = pair.interior, []
    held = pair._side  # type: ignore[attr-defined]
    monkeypatch.setattr(pair, "_side", lambda side: (seen.append(side), held(side))[1])
    read_texts(interior, ROWS, PLANTED_LAYER)
    turns = [side for place, side in enumerate(seen) if place == 0 or seen[place - 1] is not side]
    assert turns == [Side.REFERENCE, Side.ORGANISM]


def test_the_percentile_counts_controls_below_and_ties_half() -> None:
    assert percentile(2.5, [1, 2, 3, 4]) == 50
    assert percentile(9, [1, 2, 3, 4]) == 100
    assert percentile(-9, [1, 2, 3, 4]) == 0
    assert percentile(2, [1, 2, 3, 4]) == 37.5
    assert percentile(0.0, [0.0] * 5) == 50


def test_the_spread_is_the_median_and_the_middle_95_per_cent() -> None:
    found = spread(list(range(201)))
    assert (found.median, *found.middle) == (100, 5, 195)


def test_the_bootstrap_draws_texts_by_the_seed_and_weighs_tokens() -> None:
    draws = np.random.default_rng(1)
    counts = draws.integers(5, 50, size=40).tolist()
    sums = [n * float(draws.normal(1.0, 0.5)) for n in counts]
    first = bootstrap(sums, counts, 0)
    assert first is not None and first == bootstrap(sums, counts, 0) != bootstrap(sums, counts, 1)
    mean = sum(sums) / sum(counts)
    assert first.low < mean < first.high and first.covers(mean) and not first.covers(2.0)
    # The textbook error of a ratio of sums, from the residuals.
    error = np.sqrt(sum((s - mean * n) ** 2 for s, n in zip(sums, counts, strict=True))) / sum(counts)
    assert first.high - first.low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert bootstrap([3.0, 30.0], [1, 10], 0) == (3.0, 3.0)
    assert bootstrap([3.0], [1], 0) is None
