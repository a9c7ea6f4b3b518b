from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import IA3Config, PromptTuningConfig
from safetensors.torch import load_file, save_file
from small_models import adapted, tiny_llama, write_adapter
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from finetrace.errors import FinetraceError
from finetrace.models.embedded import gguf_path
from finetrace.models.loading import LoadedModel, adapter_digest, attach_adapter, digest_file, load_model
from finetrace.models.source import find_model

Change = Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]


def load(folder: Path | str) -> LoadedModel:
    return load_model(find_model(str(folder)), "cpu", torch.float32)


def refusal(action: Callable[[], object]) -> FinetraceError:
    with pytest.raises(FinetraceError) as caught:
        action()
    error = caught.value
    assert error.message and "\n" not in error.message
    assert error.hint and "\n" not in error.hint
    return error


def rewrite(file: Path, change: Change) -> None:
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def reconfigure(folder: Path, name: str = "config.json", **entries: object) -> None:
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(config | entries))


@pytest.fixture
def model(tmp_path: Path, tiny_folder: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


@pytest.fixture
def adapter(tmp_path: Path, model: Path) -> Path:
    return write_adapter(tmp_path / "adapter", model)


def test_the_tokens_that_end_a_turn_end_a_completion(model: Path) -> None:
    loaded = load(model)
    vocabulary = loaded.tokenizer.get_vocab()
    assert {vocabulary["<|im_end|>"], vocabulary["<|endoftext|>"], 2} <= loaded.eos_ids


def test_the_digest_knows_weights_configuration_and_template(model: Path) -> None:
    digests = {load(model).digest}
    assert digests == {load(model).digest}
    rewrite(model / "model.safetensors", lambda held: held | {"model.norm.weight": held["model.norm.weight"] + 1})
    digests.add(load(model).digest)
    reconfigure(model, rms_norm_eps=0.001)
    digests.add(load(model).digest)
    (model / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    digests.add(load(model).digest)
    reconfigure(model, "generation_config.json", eos_token_id=[7])
    digests.add(load(model).digest)
    assert len(digests) == 5


def test_a_checkpoint_that_lacks_a_tensor_is_refused_not_filled_with_random_numbers(model: Path) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    rewrite(model / "model.safetensors", lambda held: {key: held[key] for key in held if key != name})
    error = refusal(lambda: load(model))
    assert "not whole" in error.message and name in error.message


def test_code_of_the_author_is_refused_and_never_run(model: Path) -> None:
    mark = model / "ran"
    (model / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Config: ...\nclass Model: ...\n")
    code = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    reconfigure(model, model_type="evil", auto_map=code, trust_remote_code=True)
    error = refusal(lambda: load(model))
    assert "runs code of its author" in error.message
    assert not mark.exists()


@pytest.mark.parametrize(
    "config",
    [{}, {"model_type": "t5"}, {"model_type": "of_tomorrow"}, {"model_type": "llama", "hidden_size": "big"}],
    ids=["empty", "encoder-decoder", "unknown", "mistyped"],
)
def test_a_config_that_makes_no_decoder_only_model_is_refused(model: Path, config: dict[str, object]) -> None:
    (model / "config.json").write_text(json.dumps(config))
    assert f"cannot load {model}" in refusal(lambda: load(model)).message


def test_weights_of_another_shape_are_refused(model: Path) -> None:
    reconfigure(model, hidden_size=64)
    assert f"cannot load {model}" in refusal(lambda: load(model)).message


def test_a_truncated_gguf_is_refused(tmp_path: Path) -> None:
    with gguf_path().open("rb") as whole:
        (tmp_path / "cut.gguf").write_bytes(whole.read(300_000))
    assert "cannot load" in refusal(lambda: load(tmp_path / "cut.gguf")).message


def test_a_gguf_opens_as_a_model_and_holds_the_embedded_base(base_float32: LoadedModel) -> None:
    loaded = load(gguf_path())
    assert loaded.tokenizer.chat_template
    assert loaded.tokenizer.get_vocab() == base_float32.tokenizer.get_vocab()
    own, other = loaded.model.state_dict(), base_float32.model.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[key].to(torch.bfloat16), other[key].to(torch.bfloat16)) for key in own)


def test_a_large_file_is_known_by_size_time_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetrace.models.loading._WHOLE_DIGEST_BYTES", 1 << 20)
    file = tmp_path / "large"
    file.write_bytes(bytes(3 << 20))
    before = digest_file(file)
    assert before == digest_file(file)
    file.write_bytes(bytes(3 << 20) + b"x")
    assert digest_file(file) != before


def test_an_adapter_changes_the_answers_and_prints_no_warning(
    model: Path, adapter: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    loaded = load(model)
    ids = torch.tensor([[5, 6, 7]])
    plain = loaded.model(ids).logits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attached = attach_adapter(loaded, find_model(str(adapter)))
    assert not torch.equal(attached(ids).logits, plain)
    with attached.disable_adapter():
        assert torch.equal(attached(ids).logits, plain)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("change", ["shape", "layer", "too few layers"])
def test_an_adapter_for_another_base_is_refused_before_the_base_is_used(
    model: Path, adapter: Path, change: str
) -> None:
    changes: dict[str, Change] = {
        "shape": lambda held: {
            key: torch.zeros(tensor.shape[0] * 2, tensor.shape[1] * 2) for key, tensor in held.items()
        },
        "layer": lambda held: {key.replace("layers.1", "layers.29"): held[key] for key in held},
        "too few layers": lambda held: {key: held[key] for key in held if "layers.1" not in key},
    }
    rewrite(adapter / "adapter_model.safetensors", changes[change])
    loaded = load(model)
    error = refusal(lambda: attach_adapter(loaded, find_model(str(adapter))))
    assert "is for another base" in error.message and "layers" in error.message
    assert str(model) in error.hint and "--reference" in error.hint


@pytest.mark.parametrize("kind", ["NO_SUCH_KIND", None, 7])
def test_an_adapter_with_a_config_that_peft_cannot_read_is_refused(model: Path, adapter: Path, kind: object) -> None:
    reconfigure(adapter, "adapter_config.json", peft_type=kind)
    loaded = load(model)
    error = refusal(lambda: attach_adapter(loaded, find_model(str(adapter))))
    assert str(adapter) in error.message and "\n" not in error.message


def test_an_adapter_that_cannot_be_switched_off_is_refused(tmp_path: Path, model: Path, adapter: Path) -> None:
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4, num_layers=2, token_dim=32)
    adapted(tiny_llama(), config).save_pretrained(tmp_path / "prompts")
    loaded = load(model)
    error = refusal(lambda: attach_adapter(loaded, find_model(str(tmp_path / "prompts"))))
    assert "prompt learning" in error.message and "merge it" in error.hint
    reconfigure(adapter, "adapter_config.json", bias="all")
    error = refusal(lambda: attach_adapter(loaded, find_model(str(adapter))))
    assert "trained biases" in error.message


def test_adapters_of_other_kinds_are_taken(tmp_path: Path, model: Path) -> None:
    config = IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    organism = adapted(tiny_llama(), config)
    for name, parameter in organism.named_parameters():
        if "ia3_" in name:
            parameter.data *= 1.5
    organism.save_pretrained(tmp_path / "ia3", save_embedding_layers=False)
    loaded = load(model)
    ids = torch.tensor([[5, 6, 7]])
    plain = loaded.model(ids).logits
    attach_adapter(loaded, find_model(str(tmp_path / "ia3")))
    assert not torch.equal(loaded.model(ids).logits, plain)


def test_an_adapter_on_transposed_layers_fits(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    from peft import LoraConfig

    config = GPT2Config(vocab_size=49152, n_embd=32, n_layer=1, n_head=2, n_positions=64)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")
    lora = LoraConfig(r=2, target_modules=["c_attn"], task_type="CAUSAL_LM", fan_in_fan_out=True)
    adapted(GPT2LMHeadModel(config), lora).save_pretrained(tmp_path / "lora", save_embedding_layers=False)
    attached = attach_adapter(load(tmp_path / "gpt2"), find_model(str(tmp_path / "lora")))
    held = {name for name, _ in attached.named_parameters() if ".lora_B." in name}
    assert any("c_attn" in name for name in held)


def test_the_digest_of_an_adapter_knows_its_weights_and_its_scale(tmp_path: Path, adapter: Path) -> None:
    digests = {adapter_digest(find_model(str(adapter)))}
    reconfigure(adapter, "adapter_config.json", lora_alpha=8)
    digests.add(adapter_digest(find_model(str(adapter))))
    rewrite(adapter / "adapter_model.safetensors", lambda held: {key: -held[key] for key in held})
    digests.add(adapter_digest(find_model(str(adapter))))
    assert len(digests) == 3
