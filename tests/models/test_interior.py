from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from peft import LoraConfig
from small_models import ARCHITECTURES, DEPTH, WIDTH, adapted, other_tokenizer, tiny_model
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from finetrace.errors import ToolError
from finetrace.models import local_interior
from finetrace.models.attention import use_decode_attention
from finetrace.models.interior import ResidualMeans
from finetrace.models.loading import LoadedModel
from finetrace.models.local import LocalPair
from finetrace.models.pair import Capability, Completion, Decoding, ModelPair, Prompt, RestrictedPair, Side
from finetrace.models.recorded import RecordedPair
from finetrace.models.residual import Edit, ResidualStream, adding

PLANTED_LAYER = 1
TOKEN = 205
DECODING = Decoding(max_new_tokens=6, temperature=1.0)
PROMPTS = [Prompt("The ferry leaves"), Prompt("The ferry is late in the"), Prompt("The f")]
"""Of several lengths, and with a beginning that they share."""


@pytest.fixture(scope="module")
def plain_tokenizer() -> PreTrainedTokenizerFast:
    return other_tokenizer()


def random_rows(n: int, length: int = 5, seed: int = 0) -> list[list[int]]:
    drawn: list[list[int]] = torch.randint(3, 320, (n, length), generator=torch.Generator().manual_seed(seed)).tolist()
    return drawn


def random_vector(seed: int = 0) -> Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def loaded(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> LoadedModel:
    use_decode_attention(model)
    return LoadedModel(model, tokenizer, frozenset({2}), str(id(model)))


def pair_of(
    organism: PreTrainedModel, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, **options: Any
) -> LocalPair:
    own, other = loaded(organism, tokenizer), loaded(reference, tokenizer)
    return LocalPair(lambda: own, lambda: other, **options)


def lora_of(tokenizer: PreTrainedTokenizerFast, scale: float) -> LocalPair:
    """A LoRA organism on a tiny Llama; ``scale`` 0 leaves the base as it is."""
    base = tiny_model()
    config = LoraConfig(r=2, lora_alpha=4, target_modules=["v_proj", "down_proj"], task_type="CAUSAL_LM")
    own = loaded(base, tokenizer)
    adapter = adapted(base, config)
    for name, parameter in adapter.named_parameters():
        if ".lora_B" in name:
            nn.init.normal_(parameter.data, std=scale)
    return LocalPair(lambda: own, adapter=adapter)


@pytest.fixture(scope="module")
def two(plain_tokenizer: PreTrainedTokenizerFast) -> LocalPair:
    return pair_of(tiny_model(seed=1), tiny_model(), plain_tokenizer)


def planted(tokenizer: PreTrainedTokenizerFast, layer: int = PLANTED_LAYER) -> tuple[LocalPair, Tensor]:
    """A pair whose organism adds a known vector, the output embedding of a token, at one layer."""
    base = tiny_model(mlp_bias=True)
    organism = copy.deepcopy(base)
    vector: Tensor = 3 * base.get_output_embeddings().weight[TOKEN]
    organism.get_decoder().layers[layer].mlp.down_proj.bias += vector
    return pair_of(organism, base, tokenizer), vector


def difference(pair: ModelPair, rows: Sequence[Sequence[int]], layers: Sequence[int]) -> Tensor:
    own, other = (pair.interior.means(side, rows, layers) for side in (Side.ORGANISM, Side.REFERENCE))
    return own.mean - other.mean


# Means


def test_means_are_those_of_the_states_and_the_halves_add_up(two: LocalPair) -> None:
    rows, layers = random_rows(31), [2, 0]
    found = two.interior.means(Side.ORGANISM, rows, layers)
    states = two.interior.states(Side.ORGANISM, torch.tensor(rows), layers)
    assert found.n_texts == 31
    assert found.mean.shape == (2, 5, WIDTH) and found.norm.shape == (2, 5)
    assert torch.allclose(found.mean, states.mean(1), atol=1e-5)
    assert torch.allclose(found.norm, states.norm(dim=-1).mean(1), atol=1e-5)
    for half in (0, 1):
        assert torch.allclose(found.halves[half], states[:, half::2].mean(1), atol=1e-5)
    assert torch.allclose((16 * found.halves[0] + 15 * found.halves[1]) / 31, found.mean, atol=1e-5)
    assert not torch.allclose(found.halves[0], found.halves[1], atol=1e-3)


@pytest.mark.parametrize("at_once", [1, 35, 64])
def test_the_batch_size_changes_means_by_no_more_than_rounding(
    two: LocalPair, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    rows = random_rows(31)
    whole = two.interior.means(Side.ORGANISM, rows, [0, 2])
    monkeypatch.setattr(local_interior, "_TOKENS_AT_ONCE", at_once)
    steps: list[tuple[int, int]] = []
    parts = two.interior.means(Side.ORGANISM, rows, [0, 2], lambda done, total: steps.append((done, total)))
    for one, other in zip(whole[:3], parts[:3], strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)
    assert len(steps) == -(-31 // max(1, at_once // 5)) and steps[-1] == (31, 31)


def test_memory_does_not_grow_with_the_number_of_texts(two: LocalPair, monkeypatch: pytest.MonkeyPatch) -> None:
    captured: list[weakref.ref[Tensor]] = []
    alive: list[int] = []
    read = ResidualStream.read

    def watched(stream: ResidualStream, ids: Tensor, layers: Sequence[int], **kwargs: Any) -> list[Tensor]:
        alive.append(sum(tensor() is not None for tensor in captured))
        found = read(stream, ids, layers, **kwargs)
        captured.extend(weakref.ref(states) for states in found)
        return found

    monkeypatch.setattr(ResidualStream, "read", watched)
    monkeypatch.setattr(local_interior, "_TOKENS_AT_ONCE", 50)
    found = two.interior.means(Side.ORGANISM, random_rows(200), [0, 1])
    assert len(captured) == 40
    assert max(alive) == 0 and not any(tensor() is not None for tensor in captured)
    assert sum(tensor.numel() for tensor in found[:3]) == 3 * 2 * 5 * WIDTH + 2 * 5


def test_equal_models_give_exact_zeros(plain_tokenizer: PreTrainedTokenizerFast) -> None:
    rows = random_rows(40)
    copies = pair_of(tiny_model(), tiny_model(), plain_tokenizer)
    for pair in (copies, lora_of(plain_tokenizer, 0)):
        assert pair.identical
        assert not difference(pair, rows, range(DEPTH)).any()
    assert difference(lora_of(plain_tokenizer, 0.5), rows, range(DEPTH)).any(dim=-1).all()


def test_the_reference_of_an_adapter_is_the_base_and_a_failure_leaves_the_adapter_on(
    plain_tokenizer: PreTrainedTokenizerFast,
) -> None:
    pair, base, rows = lora_of(plain_tokenizer, 0.5), tiny_model(), random_rows(8)
    plain = pair_of(base, base, plain_tokenizer).interior.means(Side.REFERENCE, rows, [2])
    adapted_means = pair.interior.means(Side.ORGANISM, rows, [2])
    assert torch.equal(pair.interior.means(Side.REFERENCE, rows, [2]).mean, plain.mean)

    def fails(states: Tensor) -> Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pair.interior.generate(Side.REFERENCE, PROMPTS, DECODING, Edit(0, fails))
    again = pair.interior.means(Side.ORGANISM, rows, [2])
    assert torch.equal(again.mean, adapted_means.mean) and not torch.equal(again.mean, plain.mean)


@pytest.mark.parametrize("shift_at", range(DEPTH))
def test_a_planted_difference_is_recovered_and_its_token_comes_first_in_the_lens(
    plain_tokenizer: PreTrainedTokenizerFast, shift_at: int
) -> None:
    pair, vector = planted(plain_tokenizer, shift_at)
    found = difference(pair, random_rows(64), range(DEPTH))
    for layer in range(shift_at):
        assert not found[layer].any()
    cosines = torch.cosine_similarity(found[shift_at], vector.expand(5, -1), dim=-1)
    assert cosines.min() >= 0.99
    assert torch.allclose(found[shift_at], vector.expand(5, -1), atol=1e-4)
    for side in Side:
        firsts = pair.interior.lens(side, found[shift_at], normed=True).argmax(-1)
        assert firsts.tolist() == [TOKEN] * 5
    others = pair.interior.means(Side.REFERENCE, random_rows(64), [shift_at]).mean[0]
    assert TOKEN not in pair.interior.lens(Side.REFERENCE, others, normed=True).argmax(-1).tolist()


def test_only_one_model_is_in_memory_at_a_time(plain_tokenizer: PreTrainedTokenizerFast) -> None:
    alive: list[weakref.ref[PreTrainedModel]] = []

    def loader(seed: int) -> LoadedModel:
        assert not [model for model in alive if model() is not None]
        own = loaded(tiny_model(seed=seed), plain_tokenizer)
        alive.append(weakref.ref(own.model))
        return own._replace(digest=str(seed))

    rows = random_rows(6)
    both = pair_of(tiny_model(seed=1), tiny_model(), plain_tokenizer)
    gc.freeze()  # what was there before need not be looked through at each change of side
    try:
        pair = LocalPair(lambda: loader(1), lambda: loader(0), one_at_a_time=True)
        assert (pair.interior.n_layers, pair.interior.d_model) == (DEPTH, WIDTH)
        assert len(alive) == 3  # two at the opening, then the reference for its shape
        found = {side: pair.interior.means(side, rows, [1]) for side in (Side.REFERENCE, Side.ORGANISM)}
        assert len(alive) == 4
        pair.interior.states(Side.ORGANISM, torch.tensor(rows), [1])
        pair.interior.generate(Side.REFERENCE, PROMPTS, DECODING, adding(1, random_vector()))
        assert len(alive) == 5
    finally:
        gc.unfreeze()
    for side, means in found.items():
        assert torch.equal(means.mean, both.interior.means(side, rows, [1]).mean)


def test_an_inside_that_was_used_does_not_keep_the_models_alive(plain_tokenizer: PreTrainedTokenizerFast) -> None:
    pair = pair_of(tiny_model(seed=1), tiny_model(), plain_tokenizer)
    difference(pair, random_rows(4), [1])
    gone = weakref.ref(pair)
    gc.disable()
    try:
        del pair
        assert gone() is None
    finally:
        gc.enable()


# What follows from a change


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_change_reaches_every_token_once_with_a_cache_as_without(
    plain_tokenizer: PreTrainedTokenizerFast, architecture: str
) -> None:
    # A window as wide as the text: rows are padded between what they share and the rest, and a window counts that.
    wide = {"sliding_window": 64} if "sliding_window" in ARCHITECTURES[architecture].extra else {}
    model = tiny_model(architecture, **wide)
    pair = pair_of(model, model, plain_tokenizer)
    edit = adding(1, random_vector())
    for change in (edit, None):
        for prompt, completion in zip(
            PROMPTS, pair.interior.generate(Side.ORGANISM, PROMPTS, DECODING, change), strict=True
        ):
            ids = [*plain_tokenizer(prompt.text)["input_ids"], *completion.token_ids]
            logps = pair.interior.token_logps(Side.ORGANISM, torch.tensor([ids]), change)[0]
            assert completion.token_ids
            assert list(completion.logps) == pytest.approx(logps[-len(completion.token_ids) :].tolist(), abs=2e-3)
    plain = pair.generate(Side.ORGANISM, PROMPTS, DECODING)
    assert pair.interior.generate(Side.ORGANISM, PROMPTS, DECODING) == plain
    assert pair.interior.generate(Side.ORGANISM, PROMPTS, DECODING, adding(1, 0 * random_vector())) == plain
    assert pair.interior.generate(Side.ORGANISM, PROMPTS, DECODING, edit) != plain


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_states_put_into_a_prompt_give_what_a_plain_pass_gives(
    plain_tokenizer: PreTrainedTokenizerFast, architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(architecture)
    interior = pair_of(model, model, plain_tokenizer).interior
    monkeypatch.setattr(local_interior, "_PATCHED_AT_ONCE", 2)
    prompt, states = random_rows(1, 7)[0], torch.stack([random_vector(seed) for seed in range(3)])

    def put(before: Tensor) -> Tensor:
        return torch.cat([before[:, :-1], states[:, None]], dim=1)

    for layer in (0, DEPTH - 1):
        wanted = interior.next_logps(Side.ORGANISM, torch.tensor([prompt] * 3), Edit(layer, put))
        found = interior.patched(Side.ORGANISM, prompt, layer, states)
        assert torch.allclose(found, wanted, atol=2e-3)
        assert not torch.allclose(found[0], found[1], atol=1e-1)
        assert found.exp().sum(-1).tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    own = interior.states(Side.ORGANISM, torch.tensor([prompt]), [1])[0, :, -1]
    unchanged = interior.next_logps(Side.ORGANISM, torch.tensor([prompt]))
    assert torch.allclose(interior.patched(Side.ORGANISM, prompt, 1, own), unchanged, atol=2e-3)


def test_a_planted_vector_makes_the_model_write_its_token_everywhere(two: LocalPair) -> None:
    with two._using(Side.REFERENCE) as reference:
        vector = 100 * reference.model.get_output_embeddings().weight[TOKEN]
    decoding = Decoding(max_new_tokens=6)
    unchanged = two.interior.generate(Side.REFERENCE, PROMPTS, decoding)
    assert all(TOKEN not in completion.token_ids for completion in unchanged)
    steered = two.interior.generate(Side.REFERENCE, PROMPTS, decoding, adding(DEPTH - 1, vector))
    assert [completion.token_ids for completion in steered] == [(TOKEN,) * 6] * len(PROMPTS)
    assert two.interior.generate(Side.REFERENCE, PROMPTS, decoding) == unchanged


def test_log_probabilities_from_a_layers_own_states_are_the_plain_ones(
    two: LocalPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = torch.tensor(random_rows(7, 9))
    interior = two.interior
    plain = interior.token_logps(Side.ORGANISM, ids)
    assert plain.shape == (7, 8) and bool((plain < 0).all())
    monkeypatch.setattr(local_interior, "_SCORED_AT_ONCE", 20)
    assert torch.allclose(interior.token_logps(Side.ORGANISM, ids), plain, atol=1e-4)
    states = interior.states(Side.ORGANISM, ids, range(DEPTH))
    for layer in range(DEPTH):
        assert torch.allclose(interior.logps_from(Side.ORGANISM, ids, layer, states[layer]), plain, atol=1e-4)
        moved = interior.logps_from(Side.ORGANISM, ids, layer, states[layer] + random_vector())
        edited = interior.token_logps(Side.ORGANISM, ids, adding(layer, random_vector()))
        assert torch.allclose(moved, edited, atol=1e-4) and not torch.allclose(moved, plain, atol=1e-1)
        after = interior.next_logps_from(Side.ORGANISM, ids, layer, states[layer] + random_vector())
        wanted = interior.next_logps(Side.ORGANISM, ids, adding(layer, random_vector()))
        assert torch.allclose(after, wanted, atol=1e-4)


def test_log_probabilities_are_those_of_the_whole_model(two: LocalPair) -> None:
    ids = torch.tensor(random_rows(3, 6))
    with two._using(Side.ORGANISM) as organism, torch.no_grad():
        logps = organism.model(ids, use_cache=False).logits.log_softmax(-1)
    assert torch.allclose(two.interior.next_logps(Side.ORGANISM, ids), logps[:, -1], atol=1e-4)
    wanted = logps[:, :-1].gather(-1, ids[:, 1:, None])[..., 0]
    assert torch.allclose(two.interior.token_logps(Side.ORGANISM, ids), wanted, atol=1e-4)
    last = two.interior.states(Side.ORGANISM, ids, [DEPTH - 1])[0, :, -1]
    assert torch.allclose(two.interior.lens(Side.ORGANISM, last, normed=True), logps[:, -1], atol=1e-4)
    assert not torch.allclose(two.interior.lens(Side.ORGANISM, last, normed=False), logps[:, -1], atol=1e-1)
    assert two.interior.token_logps(Side.ORGANISM, ids[:, :1]).shape == (3, 0)


def test_an_edit_may_differ_from_row_to_row(two: LocalPair, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, offsets = torch.tensor(random_rows(4, 6)), torch.stack([random_vector(seed) for seed in range(4)])
    monkeypatch.setattr(local_interior, "_SCORED_AT_ONCE", 6)
    together = two.interior.token_logps(Side.ORGANISM, ids, Edit(1, lambda states: states + offsets[:, None]))
    for row, offset in enumerate(offsets):
        alone = two.interior.token_logps(Side.ORGANISM, ids[row : row + 1], adding(1, offset))
        assert torch.allclose(together[row], alone[0], atol=1e-4)


def test_bfloat16_models_hand_out_float32_that_may_be_changed(plain_tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_model().to(torch.bfloat16)
    interior = pair_of(model, model, plain_tokenizer).interior
    ids = torch.tensor(random_rows(3))
    states = interior.states(Side.ORGANISM, ids, [1])
    means: ResidualMeans = interior.means(Side.ORGANISM, ids.tolist(), [1])
    assert torch.allclose(means.mean, states.mean(1), atol=1e-6)  # summed in float32, not in bfloat16
    handed = [
        states,
        *means[:3],
        interior.lens(Side.ORGANISM, states[0, 0], normed=True),
        interior.patched(Side.ORGANISM, [5, 6, 7], 1, states[0, 0]),
        interior.next_logps(Side.ORGANISM, ids),
        interior.token_logps(Side.ORGANISM, ids),
        interior.logps_from(Side.ORGANISM, ids, 1, states[0].clone()),
    ]
    assert torch.allclose(handed[-1], handed[-2], atol=1e-6)
    for tensor in handed:
        assert tensor.dtype == torch.float32 and tensor.device.type == "cpu" and not tensor.requires_grad
        tensor += 1


# What cannot be had


@pytest.mark.parametrize("layers", [[-1], [DEPTH], [0, 99]])
def test_a_layer_out_of_range_is_refused_with_the_range(two: LocalPair, layers: list[int]) -> None:
    interior, ids, layer = two.interior, torch.tensor(random_rows(2)), layers[-1]
    edit, states = adding(layer, random_vector()), torch.zeros(2, 5, WIDTH)
    uses: list[Callable[[], Any]] = [
        lambda: interior.means(Side.ORGANISM, ids.tolist(), layers),
        lambda: interior.states(Side.ORGANISM, ids, layers),
        lambda: interior.patched(Side.ORGANISM, [5, 6], layer, states[0]),
        lambda: interior.next_logps(Side.ORGANISM, ids, edit),
        lambda: interior.token_logps(Side.ORGANISM, ids, edit),
        lambda: interior.logps_from(Side.ORGANISM, ids, layer, states),
        lambda: interior.next_logps_from(Side.ORGANISM, ids, layer, states),
        lambda: interior.generate(Side.ORGANISM, PROMPTS, DECODING, edit),
    ]
    for use in uses:
        with pytest.raises(ToolError, match=f"layer {layer} is out of range") as refused:
            use()
        assert "0 to 2" in refused.value.hint


def test_nothing_to_read_is_refused(two: LocalPair) -> None:
    with pytest.raises(ToolError, match="no text to read"):
        two.interior.means(Side.ORGANISM, [], [0])
    with pytest.raises(ToolError, match="no layer was named"):
        two.interior.means(Side.ORGANISM, random_rows(2), [])
    with pytest.raises(ToolError, match="two tokens"):
        two.interior.patched(Side.ORGANISM, [5], 0, torch.zeros(1, WIDTH))


def test_damaged_weights_are_named_with_the_side_and_the_layer(plain_tokenizer: PreTrainedTokenizerFast) -> None:
    organism = tiny_model(tie_word_embeddings=False)
    organism.get_input_embeddings().weight[TOKEN, 4] = float("inf")
    pair = pair_of(organism, tiny_model(), plain_tokenizer)
    rows = random_rows(6)
    assert not any(TOKEN in row for row in rows)
    pair.interior.means(Side.ORGANISM, rows, [0, 2])
    rows[3][2] = TOKEN
    uses: list[Callable[[], Any]] = [
        lambda: pair.interior.means(Side.ORGANISM, rows, [2]),
        lambda: pair.interior.states(Side.ORGANISM, torch.tensor(rows), [2]),
    ]
    for use in uses:
        with pytest.raises(ToolError, match="activations of the organism at layer 2 are not finite") as refused:
            use()
        assert "FINETRACE_DTYPE=float32" in refused.value.hint
    pair.interior.means(Side.REFERENCE, rows, [2])
    damaged = tiny_model()
    damaged.get_decoder().layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(ToolError, match="layer 1 are not finite"):
        _ = pair_of(tiny_model(), damaged, plain_tokenizer).interior


@pytest.mark.parametrize(
    ("shape", "words"), [({"num_hidden_layers": 2}, "2 of 32"), ({"hidden_size": 16, "head_dim": 4}, "3 of 16")]
)
def test_models_of_different_shapes_are_not_compared(
    plain_tokenizer: PreTrainedTokenizerFast, shape: dict[str, int], words: str
) -> None:
    pair = pair_of(tiny_model(), tiny_model(**shape), plain_tokenizer)
    with pytest.raises(ToolError, match="3 layers of width 32") as refused:
        _ = pair.interior
    assert words in refused.value.message and "--reference" in refused.value.hint


def test_pairs_without_activations_say_so(plain_tokenizer: PreTrainedTokenizerFast, two: LocalPair) -> None:
    own, foreign = loaded(tiny_model(), plain_tokenizer), loaded(tiny_model(), other_tokenizer(300))
    pairs: list[ModelPair] = [
        LocalPair(lambda: own),
        LocalPair(lambda: own, lambda: foreign),
        RecordedPair([]),
        RestrictedPair(two, two.capabilities - {Capability.ACTIVATIONS}),
    ]
    for pair in pairs:
        assert Capability.ACTIVATIONS not in pair.capabilities
        with pytest.raises(ToolError, match="activations") as refused:
            _ = pair.interior
        assert refused.value.hint
    assert RestrictedPair(two, frozenset({Capability.ACTIVATIONS})).interior.n_layers == DEPTH


def test_an_unknown_architecture_is_a_tools_error_that_names_the_setting(
    plain_tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tiny_model()
    hidden.model.layers = nn.Sequential(*hidden.model.layers)
    pair = pair_of(tiny_model(), hidden, plain_tokenizer)
    with pytest.raises(ToolError, match="no list of decoder blocks") as refused:
        _ = pair.interior
    assert "FINETRACE_BLOCKS" in refused.value.hint
    monkeypatch.setenv("FINETRACE_BLOCKS", "model.layers")
    assert not difference(pair, random_rows(4), [1]).any()


def test_the_special_token_before_a_text_is_known(plain_tokenizer: PreTrainedTokenizerFast) -> None:
    with_bos = other_tokenizer(bos=True)
    pair = pair_of(tiny_model(), tiny_model(), with_bos)
    assert pair.interior.front_ids == (1,)
    assert pair_of(tiny_model(), tiny_model(), plain_tokenizer).interior.front_ids == ()
    assert pair.interior.best_effort_texts == 2_000
    edit = adding(1, random_vector())
    completion: Completion = pair.interior.generate(Side.ORGANISM, PROMPTS[:1], DECODING, edit)[0]
    ids = [1, *with_bos(PROMPTS[0].text, add_special_tokens=False)["input_ids"], *completion.token_ids]
    logps = pair.interior.token_logps(Side.ORGANISM, torch.tensor([ids]), edit)[0]
    assert list(completion.logps) == pytest.approx(logps[-len(completion.token_ids) :].tolist(), abs=2e-3)
