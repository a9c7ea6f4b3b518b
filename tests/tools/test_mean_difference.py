from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from planted_pairs import PLANTED_LAYER, DrawnInterior, DrawnPair, copied_pair, pair_of, planted_pair, token_of
from pydantic import ValidationError
from small_models import DEPTH, WIDTH, other_tokenizer, tiny_model
from transformers import PreTrainedTokenizerFast

from finetrace.errors import ToolError
from finetrace.models import local_interior
from finetrace.models.local import LocalPair
from finetrace.models.pair import Capability, RestrictedPair, Side
from finetrace.models.recorded import RecordedPair
from finetrace.tools.beginnings import general_rows
from finetrace.tools.cache import ReadingCache
from finetrace.tools.instrument import Context
from finetrace.tools.mean_difference import DifferenceSettings, MeanDifference, depth_of, layer_at, measure_difference

SMALL = DifferenceSettings(corpora=("own",), n_texts=40)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return other_tokenizer()


@pytest.fixture(scope="module")
def two(tokenizer: PreTrainedTokenizerFast) -> LocalPair:
    return pair_of(tiny_model(seed=1), tiny_model(), tokenizer, "two")


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(cache=ReadingCache(tmp_path / "cache" / "readings"))


def uncached(tmp_path: Path, seed: int = 0) -> Context:
    return Context(seed=seed, cache=ReadingCache(tmp_path / "unused" / "readings", enabled=False))


def drawn(tokenizer: PreTrainedTokenizerFast, context: Context, n: int = 40, **how: Any) -> MeanDifference:
    settings = {name: how.pop(name) for name in ("depths", "positions", "corpora") if name in how}
    pair = DrawnPair(tokenizer, DrawnInterior(**how))
    return measure_difference(pair, SMALL.model_copy(update={"n_texts": n, **settings}), context)


@pytest.mark.parametrize(("n_layers", "layer"), [(28, 13), (26, 12), (16, 7), (32, 15), (42, 20), (64, 31)])
def test_the_middle_layer_is_the_published_one(n_layers: int, layer: int) -> None:
    assert layer_at(0.5, n_layers) == layer


def test_every_layer_has_a_depth_that_finds_it() -> None:
    for n_layers in range(1, 130):
        assert [layer_at(depth_of(layer, n_layers), n_layers) for layer in range(n_layers)] == list(range(n_layers))
        assert layer_at(0, n_layers) == 0 and layer_at(1, n_layers) == n_layers - 1
    assert layer_at(0.57, 101) == 57


@pytest.mark.parametrize("depth", [-0.1, 1.5, float("nan"), float("inf")])
def test_a_depth_outside_the_model_is_refused(depth: float) -> None:
    with pytest.raises(ValidationError):
        DifferenceSettings(depths=(0.5, depth))


def test_an_identical_copy_differs_by_exactly_nothing(tokenizer: PreTrainedTokenizerFast, context: Context) -> None:
    found = measure_difference(copied_pair(tokenizer), SMALL.model_copy(update={"depths": (0.0, 1.0)}), context)
    assert found.identical and not found.difference.tensor.any()
    assert not any(map(any, found.noise)) and not any(found.pooled_noise)
    assert not found.pooled(0).isnan().any()
    with pytest.raises(ToolError, match="do not differ here"):
        found.direction(0)


def test_a_planted_difference_is_recovered(tokenizer: PreTrainedTokenizerFast, context: Context) -> None:
    pair, vector = planted_pair(tokenizer)
    found = measure_difference(pair, SMALL.model_copy(update={"depths": (1.0, 0.5, 0.5, 0.0)}), context)
    assert found.layers == (0, 1, 2) and found.n_layers == DEPTH and not found.identical
    assert not found.difference.tensor[: found.place(PLANTED_LAYER)].any()
    for position in (None, *range(5)):
        assert torch.cosine_similarity(found.direction(PLANTED_LAYER, position), vector, dim=0) >= 0.99
    assert torch.allclose(found.pooled(PLANTED_LAYER), vector, atol=1e-4)
    assert min(found.agreement[PLANTED_LAYER]) > 0.999 and found.pooled_agreement[PLANTED_LAYER] > 0.999
    assert max(found.noise[PLANTED_LAYER]) < 1e-3 * float(vector.norm())
    for wrong in (lambda: found.direction(3), lambda: found.direction(1, 5), lambda: found.direction(1, -1)):
        with pytest.raises(ToolError, match="was not measured"):
            wrong()


def test_the_artefact_survives_json(two: LocalPair, context: Context) -> None:
    found = measure_difference(two, SMALL, context)
    again = MeanDifference.model_validate_json(found.model_dump_json())
    assert again == found and torch.equal(again.difference.tensor, found.difference.tensor)
    assert found.difference.shape == (1, 5, WIDTH) and found.controls.shape == (1, 64, WIDTH)
    assert found.ordinary == ((0, 1, 2, 3, 4),) and found.n_texts == 40


def test_neither_batches_nor_the_order_of_corpora_matter(
    two: LocalPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rivers, mills = (tmp_path / f"{name}.jsonl" for name in ("rivers", "mills"))
    for file in (rivers, mills):
        lines = [json.dumps({"text": f"{i:02} {file.stem} stand by the road"}) for i in range(60)]
        file.write_text("\n".join(lines))
    both = SMALL.model_copy(update={"corpora": (str(rivers), str(mills), "own"), "n_texts": 41})
    turned = both.model_copy(update={"corpora": ("own", str(mills), str(rivers), "own")})
    found = measure_difference(two, both, uncached(tmp_path))
    assert measure_difference(two, turned, uncached(tmp_path)) == found
    monkeypatch.setattr(local_interior, "_TOKENS_AT_ONCE", 35)
    parts = measure_difference(two, both, uncached(tmp_path))
    for name in ("difference", "reference_mean", "controls"):
        assert torch.allclose(getattr(parts, name).tensor, getattr(found, name).tensor, rtol=1e-4, atol=1e-4)
    assert parts.scale == pytest.approx(found.scale, rel=1e-4)


def test_two_corpora_are_in_both_halves(tokenizer: PreTrainedTokenizerFast, context: Context, tmp_path: Path) -> None:
    for name in ("aaa", "bbb"):
        lines = [json.dumps({"text": f"{name[0]}{i:02} stand by the road"}) for i in range(40)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    inside = DrawnInterior()
    corpora = tuple(str(tmp_path / f"{name}.jsonl") for name in ("aaa", "bbb"))
    measure_difference(DrawnPair(tokenizer, inside), SMALL.model_copy(update={"corpora": corpora}), context)
    first = token_of(tokenizer, "a")
    halves = [sum(row[0] == first for row in inside.rows[half::2]) for half in (0, 1)]
    assert sum(halves) == 20 and min(halves) >= 4


def test_a_known_measurement_is_not_made_again_and_another_one_is(
    two: LocalPair, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"{i:02} boats leave the harbour at noon." for i in range(30)))
    settings = SMALL.model_copy(update={"corpora": (str(file),), "n_texts": 20, "depths": (0.0, 1.0)})
    found = measure_difference(two, settings, context)
    asked: list[tuple[int, ...]] = []
    means = local_interior.LocalInterior.means

    def watched(inside: local_interior.LocalInterior, side: Side, rows: Any, layers: Any, progress: Any) -> Any:
        asked.append(tuple(layers))
        return means(inside, side, rows, layers, progress)

    monkeypatch.setattr(local_interior.LocalInterior, "means", watched)
    assert measure_difference(two, settings, context) == found
    one = measure_difference(two, settings.model_copy(update={"depths": (1.0,)}), context)
    assert not asked and one.layers == (2,)
    assert one == measure_difference(two, settings.model_copy(update={"depths": (1.0,)}), uncached(tmp_path))
    for changed in ({"positions": 4}, {"n_texts": 19}, {"depths": (0.5,)}):
        asked.clear()
        measure_difference(two, settings.model_copy(update=changed), context)
        assert asked
    asked.clear()
    measure_difference(two, settings, Context(seed=1, cache=context.cache))
    file.write_text(file.read_text().replace("harbour", "station"))
    assert measure_difference(two, settings, context) != found
    assert len(asked) == 4


def test_noise_shrinks_with_texts_and_halves_agree_only_on_what_is_constant(
    tokenizer: PreTrainedTokenizerFast, context: Context
) -> None:
    few, many = (drawn(tokenizer, context, n, spread=1.0) for n in (20, 320))
    ratios = [few.noise[0][p] / many.noise[0][p] for p in range(5)]
    assert all(2.5 < ratio < 6.5 for ratio in ratios)  # the root of 16 is 4
    assert all(abs(value) < 0.7 for value in many.agreement[0])  # 32 coordinates agree by chance by ± 0.18
    # Nothing but sampling: the norm is about its standard error.
    norms = many.difference.tensor[0].norm(dim=-1).tolist()
    assert all(0.5 < norm / noise < 2 for norm, noise in zip(norms, many.noise[0], strict=True))
    planted = drawn(tokenizer, context, 320, spread=1.0, constant=5.0)
    assert min(planted.agreement[0]) > 0.95 and planted.pooled_agreement[0] > 0.95
    assert planted.pooled_noise[0] < max(planted.noise[0]) < 0.2 * float(planted.pooled(1).norm())


def test_a_special_token_before_the_text_is_left_out_and_named(context: Context) -> None:
    with_front = other_tokenizer(bos=True)
    pair, vector = planted_pair(with_front)
    found = measure_difference(pair, SMALL, context)
    assert pair.interior.front_ids == (with_front.bos_token_id,)
    assert found.difference.shape == (1, 5, WIDTH)
    rows = [(with_front.bos_token_id, *row) for row in general_rows(pair, SMALL.corpora, 418, 5, context)]
    first = pair.interior.means(Side.REFERENCE, rows, [PLANTED_LAYER]).mean[0, 1]
    assert torch.cosine_similarity(found.reference_mean.tensor[0, 0], first, dim=0) > 0.8
    note, norm = found.notes
    assert "1 special token(s) before the text" in note and "position 0 is the first content token" in note
    assert norm.endswith(f"at layer {PLANTED_LAYER}: norm {float(vector.norm()):.3g}")


def test_a_lone_sink_is_apart(tokenizer: PreTrainedTokenizerFast, context: Context) -> None:
    # It shows at the middle layer only.
    found = drawn(tokenizer, context, depths=(1.0,), constant=1.0, sinks={DEPTH // 2: (0,)})
    assert found.ordinary == ((1, 2, 3, 4),)
    assert "position 0 is an attention sink" in found.notes[0]
    plain = drawn(tokenizer, context, depths=(0.0,), constant=1.0)
    assert plain.ordinary == ((0, 1, 2, 3, 4),) and not plain.notes
    at_sink = drawn(tokenizer, context, constant=1.0, sinks={1: (0,)})
    assert at_sink.scale[0] == pytest.approx(plain.scale[0], rel=0.1)
    assert float(at_sink.reference_mean.tensor[0, 0].norm()) > 50
    assert float(at_sink.controls.tensor.norm(dim=-1).max()) < 5 * at_sink.scale[0]


def test_no_layer_depends_on_which_others_are_measured(tokenizer: PreTrainedTokenizerFast, context: Context) -> None:
    sinks = {2: (3,)}
    joined = drawn(tokenizer, context, spread=1.0, depths=(0.0, 1.0), sinks=sinks)
    assert joined.ordinary == ((0, 1, 2, 3, 4), (0, 1, 2, 4))
    for depth in (0.0, 1.0):
        alone = drawn(tokenizer, context, spread=1.0, depths=(depth,), sinks=sinks)
        (layer,) = alone.layers
        place = joined.place(layer)
        assert alone.ordinary == (joined.ordinary_at(layer),)
        assert torch.equal(alone.pooled(layer), joined.pooled(layer))
        assert torch.equal(alone.direction(layer), joined.direction(layer))
        assert alone.pooled_noise == (joined.pooled_noise[place],)


def test_layers_without_a_common_ordinary_position_are_measured_together(
    tokenizer: PreTrainedTokenizerFast, context: Context
) -> None:
    found = drawn(tokenizer, context, depths=(0.0, 1.0), positions=2, constant=1.0, sinks={0: (0,), 2: (1,)})
    assert found.ordinary == ((1,), (0,))


def test_where_there_is_nothing_but_a_sink_that_is_said(tokenizer: PreTrainedTokenizerFast, context: Context) -> None:
    with pytest.raises(ToolError, match="first 1 positions is an attention sink") as caught:
        drawn(tokenizer, context, positions=1, sinks={1: (0,)})
    assert "more positions" in (caught.value.hint or "")


def test_no_side_is_called_back_and_forth(tokenizer: PreTrainedTokenizerFast, context: Context) -> None:
    inside = DrawnInterior()
    pair = DrawnPair(tokenizer, inside)
    measure_difference(pair, SMALL.model_copy(update={"depths": (0.0, 0.5, 1.0)}), context)
    changes = sum(one is not other for one, other in zip(inside.asked, inside.asked[1:], strict=False))
    assert changes == 2 and inside.asked[0] is Side.REFERENCE


def test_few_texts_that_begin_alike_still_give_controls(
    tokenizer: PreTrainedTokenizerFast, context: Context, tmp_path: Path
) -> None:
    file = tmp_path / "alike.jsonl"
    texts = [f"The {'f' * i} ferry leaves the harbour" for i in range(1, 6)]
    file.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    found = drawn(tokenizer, context, corpora=(str(file),), positions=9)
    assert found.n_texts == 5 and 2 <= found.controls.shape[1] <= 2 * 15
    assert float(found.controls.tensor.norm(dim=-1).min()) > 1


@pytest.mark.parametrize(
    ("update", "says", "hint"),
    [
        ({"positions": 250}, "no text has 250 tokens", "fewer positions"),
        ({"corpora": ("onw",)}, "unknown corpus 'onw'", "own"),
    ],
)
def test_what_cannot_be_measured_is_an_error_of_the_user(
    two: LocalPair, context: Context, update: dict[str, object], says: str, hint: str
) -> None:
    with pytest.raises(ToolError, match=says) as caught:
        measure_difference(two, SMALL.model_copy(update=update), context)
    assert hint in (caught.value.hint or "")


def test_one_text_is_too_few_and_a_corpus_of_short_ones_is_named(
    two: LocalPair, context: Context, tmp_path: Path
) -> None:
    file = tmp_path / "text.txt"
    file.write_text("The ferry leaves the harbour when the bell has rung.\n\nNo.")
    with pytest.raises(ToolError, match="only one text has 9 tokens"):
        measure_difference(two, SMALL.model_copy(update={"corpora": (str(file),), "positions": 9}), context)
    file.write_text("No.")
    both = SMALL.model_copy(update={"corpora": ("own", str(file)), "positions": 9, "n_texts": 500})
    found = measure_difference(two, both, context)
    assert any(str(file) in note and "has 9 tokens: left out" in note for note in found.notes)
    assert any("500 texts were asked for, the corpora hold" in note for note in found.notes)


def test_without_activations_there_is_a_clear_error(two: LocalPair, context: Context) -> None:
    blind = RestrictedPair(two, frozenset(Capability) - {Capability.ACTIVATIONS})
    for pair in (RecordedPair([]), blind):
        with pytest.raises(ToolError, match="needs activations"):
            measure_difference(pair, SMALL, context)
