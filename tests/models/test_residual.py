from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from small_models import ARCHITECTURES, DEPTH, WIDTH, tiny_model
from torch import Tensor, nn
from transformers import PreTrainedModel

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.engine import generate
from finetrace.models.pair import Decoding
from finetrace.models.residual import Edit, ResidualStream, adding

IDS = torch.tensor([[5, 9, 100, 7, 31, 8], [200, 3, 3, 41, 77, 12]])


@pytest.fixture(autouse=True)
def _without_gradients(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("FINETRACE_BLOCKS", raising=False)
    with torch.no_grad():
        yield


def logits(model: PreTrainedModel, ids: Tensor = IDS) -> Tensor:
    found: Tensor = model(ids, use_cache=False).logits
    return found


def random_vector(seed: int = 0) -> Tensor:
    return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def traces(model: PreTrainedModel) -> Counter[str]:
    """Every hook on every module, and every forward pass that is not the class's own."""
    found: Counter[str] = Counter()
    for name, module in model.named_modules():
        found[f"{name} hooks"] = len(module._forward_hooks) + len(module._forward_pre_hooks)
        found[f"{name} forward"] = int("forward" in vars(module))
    return found


def calls(model: PreTrainedModel) -> Counter[int]:
    """How often each block is run from now on."""
    found: Counter[int] = Counter()
    for place, block in enumerate(ResidualStream.of(model).blocks):
        block.register_forward_pre_hook(lambda module, inputs, place=place: found.update([place]))
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_stream_of_every_architecture_is_what_transformers_reports(architecture: str) -> None:
    model = tiny_model(architecture)
    stream = ResidualStream.of(model)
    reported = model(IDS, use_cache=False, output_hidden_states=True).hidden_states
    states = stream.read(IDS, range(DEPTH))
    assert len(reported) == stream.n_layers + 1 == DEPTH + 1
    for layer in range(DEPTH - 1):
        assert torch.equal(states[layer], reported[layer + 1])
    # The last entry comes after the final norm.
    assert not torch.allclose(states[-1], reported[-1], atol=1e-3)
    assert torch.equal(stream.norm(states[-1]), reported[-1])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pass_that_begins_with_a_layers_own_states_is_the_plain_pass(architecture: str) -> None:
    model = tiny_model(architecture)
    stream, plain = ResidualStream.of(model), logits(model)
    # Not a vector of equal numbers: a LayerNorm would take it out.
    before, run, vector = traces(model), calls(model), random_vector()
    for layer, states in enumerate(stream.read(IDS, range(DEPTH))):
        with stream.beginning(layer, states):
            assert torch.equal(logits(model, torch.ones_like(IDS)), plain)
        with stream.beginning(layer, states + vector):
            shifted = logits(model)
        with stream.editing(adding(layer, vector)):
            assert torch.equal(logits(model), shifted)
        assert not torch.allclose(shifted, plain, atol=1e-3)
    assert torch.equal(logits(model), plain)
    assert run[0] > 0  # the counting hooks are still there, and nothing else
    assert Counter({name: n for name, n in (traces(model) - before).items() if n}) == Counter(
        {f"{name} hooks": 1 for name, module in model.named_modules() if module in list(stream.blocks)}
    )


@pytest.mark.parametrize("architecture", ["llama", "falcon"])
def test_reading_stops_at_the_deepest_layer(architecture: str) -> None:
    model = tiny_model(architecture)
    run = calls(model)
    ResidualStream.of(model).read(IDS, [1, 0])
    assert run == {0: 1, 1: 1}
    ResidualStream.of(model).read(IDS, [2])
    assert run == {0: 2, 1: 2, 2: 1}


def test_blocks_before_a_given_beginning_do_not_compute() -> None:
    model = tiny_model()
    run: Counter[int] = Counter()
    for place, block in enumerate(ResidualStream.of(model).blocks):
        block.mlp.register_forward_pre_hook(lambda module, inputs, place=place: run.update([place]))
    with ResidualStream.of(model).beginning(1, torch.zeros(2, 6, WIDTH)):
        logits(model)
    assert run == {2: 1}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_strength_zero_is_no_change_bit_for_bit(dtype: torch.dtype) -> None:
    model = tiny_model().to(dtype)
    stream, plain = ResidualStream.of(model), logits(model)
    prompts, decoding = IDS[:, :3].tolist(), Decoding(max_new_tokens=8, temperature=1.0)
    written = generate(model, prompts, decoding, eos_ids=frozenset({2}))
    for layer in range(DEPTH):
        with stream.editing(adding(layer, 0 * random_vector())):
            assert torch.equal(logits(model), plain)
            assert generate(model, prompts, decoding, eos_ids=frozenset({2})) == written
        with stream.editing(adding(layer, random_vector())):
            assert not torch.equal(logits(model), plain)
            assert generate(model, prompts, decoding, eos_ids=frozenset({2})) != written


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "falcon"])
def test_a_vector_added_and_taken_away_cancels(architecture: str) -> None:
    model, vector = tiny_model(architecture), random_vector()
    stream, plain = ResidualStream.of(model), logits(model)
    with stream.editing(adding(1, vector)):
        moved = logits(model)
        with stream.editing(adding(1, -vector)):
            restored = logits(model)
        assert torch.equal(logits(model), moved)
    assert not torch.allclose(moved, plain, atol=1e-2)
    assert torch.allclose(restored, plain, atol=1e-4)


def test_of_two_changes_at_one_layer_the_outer_is_made_first_and_reading_sees_both() -> None:
    model, vector = tiny_model(), random_vector()
    stream = ResidualStream.of(model)
    (plain,) = stream.read(IDS, [1])
    with stream.editing(adding(1, vector)), stream.editing(Edit(1, lambda states: 2 * states)):
        (changed,) = stream.read(IDS, [1])
    assert torch.allclose(changed, 2 * (plain + vector), atol=1e-6)


def test_a_change_is_given_float32_and_the_number_format_is_restored() -> None:
    model = tiny_model().to(torch.bfloat16)
    seen: list[torch.dtype] = []

    def note(states: Tensor) -> Tensor:
        seen.append(states.dtype)
        return states

    with ResidualStream.of(model).editing(Edit(0, note)):
        assert logits(model).dtype == torch.bfloat16
    assert seen == [torch.float32]


def _fails(states: Tensor) -> Tensor:
    raise ZeroDivisionError


def _read(model: PreTrainedModel) -> None:
    ResidualStream.of(model).read(IDS, [0, 1])


def _read_what_fails(model: PreTrainedModel) -> None:
    with ResidualStream.of(model).editing(Edit(0, _fails)):
        ResidualStream.of(model).read(IDS, [1])


def _fail_while_capturing(model: PreTrainedModel) -> None:
    with ResidualStream.of(model).capturing(range(DEPTH)):
        raise ZeroDivisionError


def _fail_in_a_generation(model: PreTrainedModel) -> None:
    stream = ResidualStream.of(model)
    with stream.editing(adding(0, random_vector())), stream.editing(Edit(1, _fails)):
        generate(model, IDS.tolist(), Decoding(max_new_tokens=2), eos_ids=frozenset())


def _fail_after_a_beginning(model: PreTrainedModel) -> None:
    stream = ResidualStream.of(model)
    with stream.beginning(1, torch.zeros(2, 6, WIDTH)), stream.editing(Edit(2, _fails)):
        logits(model)


@pytest.mark.parametrize(
    ("use", "raised"),
    [
        (_read, False),
        (_read_what_fails, True),
        (_fail_while_capturing, True),
        (_fail_in_a_generation, True),
        (_fail_after_a_beginning, True),
    ],
)
def test_nothing_stays_on_the_model_whatever_happens(use: Callable[[PreTrainedModel], None], raised: bool) -> None:
    model = tiny_model()
    plain = logits(model)
    ResidualStream.of(model)
    before = traces(model)
    if raised:
        with pytest.raises(ZeroDivisionError):
            use(model)
    else:
        use(model)
    assert traces(model) == before
    assert torch.equal(logits(model), plain)


def test_a_forward_pass_that_accelerate_put_there_is_put_back() -> None:
    class Counting(ModelHook):  # type: ignore[misc]
        runs = 0

        def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            Counting.runs += 1
            return args, kwargs

    model = tiny_model()
    plain = logits(model)
    for block in model.get_decoder().layers:
        add_hook_to_module(block, Counting())
    stream = ResidualStream.of(model)
    (states,) = stream.read(IDS, [1])
    with stream.beginning(1, states):
        assert torch.equal(logits(model), plain)
    Counting.runs = 0
    assert torch.equal(logits(model), plain)
    assert Counting.runs == DEPTH


@pytest.mark.parametrize("layer", [-1, DEPTH])
def test_a_layer_out_of_range_is_refused_with_the_range(layer: int) -> None:
    model = tiny_model()
    stream = ResidualStream.of(model)
    uses: list[Callable[[], Any]] = [
        lambda: stream.read(IDS, [0, layer]),
        lambda: stream.editing(adding(layer, random_vector())).__enter__(),
        lambda: stream.beginning(layer, torch.zeros(2, 6, WIDTH)).__enter__(),
        lambda: stream.capturing([layer]).__enter__(),
    ]
    for use in uses:
        with pytest.raises(ToolError, match=f"layer {layer} is out of range") as refused:
            use()
        assert "0 to 2" in refused.value.hint


def test_the_stream_is_probed_once_and_keeps_no_model_alive() -> None:
    model = tiny_model()
    stream = ResidualStream.of(model)
    assert ResidualStream.of(model) is stream
    assert not any(value is model for value in vars(stream).values())


def refusal(model: PreTrainedModel) -> FinetraceError:
    with pytest.raises(FinetraceError) as refused:
        ResidualStream.of(model)
    return refused.value


def test_hidden_blocks_are_found_once_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model, known = tiny_model(), tiny_model()
    model.model.layers = nn.Sequential(*model.model.layers)
    error = refusal(model)
    assert "no list of decoder blocks" in error.message and "LlamaForCausalLM" in error.message
    assert "FINETRACE_BLOCKS" in error.hint and "model.layers" in error.hint
    monkeypatch.setenv("FINETRACE_BLOCKS", "model.layer")
    error = refusal(model)
    assert "FINETRACE_BLOCKS" in error.message and "'model.layer'" in error.message
    assert "did you mean model.layers?" in error.hint
    monkeypatch.setenv("FINETRACE_BLOCKS", "model.layers")
    stream = ResidualStream.of(model)
    assert stream.n_layers == DEPTH
    assert torch.equal(stream.read(IDS, [1])[0], ResidualStream.of(known).read(IDS, [1])[0])


def test_another_list_of_the_same_length_is_not_taken_for_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    model.model.embed_tokens.decoys = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH))
    error = refusal(model)
    assert "residual stream of LlamaForCausalLM" in error.message and "of 3 blocks 0 ran" in error.message
    assert "FINETRACE_BLOCKS" in error.hint and "model.layers" in error.hint
    monkeypatch.setenv("FINETRACE_BLOCKS", "model.layers")
    assert ResidualStream.of(model).n_layers == DEPTH


def test_a_list_of_parts_of_blocks_is_not_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    model.parts = nn.ModuleList(block.mlp for block in model.model.layers)
    monkeypatch.setenv("FINETRACE_BLOCKS", "parts")
    error = refusal(model)
    assert "block 0 hands on something else" in error.message and "FINETRACE_BLOCKS" in error.hint


def test_what_is_added_between_two_blocks_is_noticed() -> None:
    model = tiny_model()
    model.model.layers[2].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 1, *inputs[1:]))
    error = refusal(model)
    assert "block 1 hands on something else" in error.message and "FINETRACE_BLOCKS" in error.hint


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_damaged_weights_are_called_that_and_not_an_unknown_architecture(value: float) -> None:
    model = tiny_model()
    model.model.layers[1].mlp.down_proj.weight[3, 3] = value
    error = refusal(model)
    assert "layer 1 are not finite" in error.message
    assert "FINETRACE_DTYPE" in error.hint and "FINETRACE_BLOCKS" not in error.hint
