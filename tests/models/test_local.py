from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from small_models import SENTENCES, adapted, other_tokenizer, tiny_llama, write_adapter, write_model
from transformers import PreTrainedTokenizerFast

from finetrace.errors import FinetraceError, ToolError
from finetrace.models.loading import LoadedModel, load_model
from finetrace.models.local import LocalPair
from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Capability, Completion, Decoding, Message, Prompt, Score, Side
from finetrace.models.source import find_model

PROMPTS = [Prompt(sentence[:12]) for sentence in SENTENCES]
CHAT = [Prompt("", (Message("user", sentence),)) for sentence in SENTENCES]
DECODING = Decoding(max_new_tokens=8)


def pair_of(model: Path, reference: Path | None = None, *, one_at_a_time: bool = False) -> LocalPair:
    found = open_pair(
        Target(
            model=str(model),
            reference=str(reference) if reference else None,
            device="cpu",
            dtype="float32",
            one_at_a_time=one_at_a_time,
        )
    )
    assert isinstance(found, LocalPair)
    return found


def refusal(target: Target) -> FinetraceError:
    with pytest.raises(FinetraceError) as caught:
        open_pair(target)
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """Another random model with the same tokenizer."""
    return write_model(tmp_path_factory.mktemp("other") / "model", tokenizer, seed=1)


@pytest.fixture(scope="module")
def foreign_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of another family: its own small vocabulary, no chat template."""
    return write_model(tmp_path_factory.mktemp("foreign") / "model", other_tokenizer(), seed=2, vocabulary=320)


@pytest.fixture(scope="module")
def adapter_folder(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapter") / "lora", tiny_folder)


@pytest.fixture(scope="module")
def lora(adapter_folder: Path) -> LocalPair:
    return pair_of(adapter_folder)


@pytest.fixture(scope="module")
def two(tiny_folder: Path, other_folder: Path) -> LocalPair:
    return pair_of(other_folder, tiny_folder)


def test_an_adapter_and_its_reference_share_one_set_of_weights(lora: LocalPair) -> None:
    with lora._using(Side.ORGANISM) as organism:
        own = {p.data_ptr() for name, p in organism.model.named_parameters() if "lora_" not in name}
    with lora._using(Side.REFERENCE) as reference:
        other = {p.data_ptr() for name, p in reference.model.named_parameters() if "lora_" not in name}
    assert own == other
    assert lora.capabilities == frozenset(Capability) - {Capability.COMPLETIONS}


def test_the_reference_of_an_adapter_is_the_plain_base_bit_for_bit(lora: LocalPair, tiny_folder: Path) -> None:
    plain = pair_of(tiny_folder)
    written = lora.generate(Side.REFERENCE, PROMPTS, DECODING)
    assert written == plain.generate(Side.ORGANISM, PROMPTS, DECODING)
    assert written != lora.generate(Side.ORGANISM, PROMPTS, DECODING)
    assert written == lora.generate(Side.REFERENCE, PROMPTS, DECODING)
    assert lora.reference_fingerprint == plain.reference_fingerprint
    assert lora.fingerprint != plain.fingerprint


def test_naming_the_base_of_an_adapter_as_reference_still_shares_it(
    adapter_folder: Path, tiny_folder: Path, lora: LocalPair
) -> None:
    named = pair_of(adapter_folder, tiny_folder.parent / "." / tiny_folder.name)
    assert Capability.ADAPTER in named.capabilities
    assert named.fingerprint == lora.fingerprint


def test_an_adapter_beside_another_reference(adapter_folder: Path, other_folder: Path, lora: LocalPair) -> None:
    pair = pair_of(adapter_folder, other_folder)
    assert Capability.ADAPTER not in pair.capabilities
    assert not pair.identical
    completions = pair.generate(Side.ORGANISM, PROMPTS, DECODING)
    assert completions == lora.generate(Side.ORGANISM, PROMPTS, DECODING)
    assert pair.score(Side.REFERENCE, PROMPTS, completions) != lora.score(Side.REFERENCE, PROMPTS, completions)


def test_kept_log_probabilities_are_those_of_a_fresh_pass(two: LocalPair) -> None:
    for prompts in (PROMPTS, CHAT):
        completions = two.generate(Side.ORGANISM, prompts, DECODING)
        for completion, score in zip(completions, two.score(Side.ORGANISM, prompts, completions), strict=True):
            assert score.n_tokens == len(completion.token_ids)
            assert score.total == pytest.approx(sum(completion.logps), abs=1e-3)


def test_one_at_a_time_gives_the_same_numbers_with_one_side_in_memory(
    two: LocalPair, tiny_folder: Path, other_folder: Path
) -> None:
    alive: list[weakref.ref[object]] = []

    def loader(folder: Path) -> LoadedModel:
        gc.collect()
        assert not [model for model in alive if model() is not None]
        loaded = load_model(find_model(str(folder)), "cpu", torch.float32)
        alive.append(weakref.ref(loaded.model))
        return loaded

    pair = LocalPair(lambda: loader(other_folder), lambda: loader(tiny_folder), one_at_a_time=True)
    assert len(alive) == 2
    assert pair.fingerprint == two.fingerprint
    assert pair.tokenizer.decode([65], clean_up_tokenization_spaces=False)
    completions = pair.generate(Side.ORGANISM, PROMPTS, DECODING)
    assert len(alive) == 2
    assert completions == two.generate(Side.ORGANISM, PROMPTS, DECODING)
    assert pair.score(Side.REFERENCE, PROMPTS, completions) == two.score(Side.REFERENCE, PROMPTS, completions)
    assert len(alive) == 3
    assert not pair.identical


def test_an_adapter_beside_another_reference_can_be_kept_one_at_a_time(
    adapter_folder: Path, other_folder: Path
) -> None:
    together, apart = (pair_of(adapter_folder, other_folder, one_at_a_time=flag) for flag in (False, True))
    assert together.fingerprint == apart.fingerprint
    for side in Side:
        assert together.generate(side, PROMPTS, DECODING) == apart.generate(side, PROMPTS, DECODING)
    assert len(apart._resident) == 1 and len(together._resident) == 2


def test_a_model_without_reference_offers_no_comparison(tiny_folder: Path) -> None:
    pair = pair_of(tiny_folder)
    assert pair.capabilities == {Capability.GENERATE, Capability.CHAT}
    assert not pair.identical
    completions = pair.generate(Side.ORGANISM, CHAT, DECODING)
    with pytest.raises(ToolError, match="no reference"):
        pair.generate(Side.REFERENCE, CHAT, DECODING)
    with pytest.raises(ToolError, match="logprobs"):
        pair.score(Side.ORGANISM, CHAT, completions)


def test_a_model_without_chat_template_completes_and_does_not_chat(foreign_folder: Path) -> None:
    pair = pair_of(foreign_folder)
    assert Capability.CHAT not in pair.capabilities
    assert len(pair.generate(Side.ORGANISM, PROMPTS, DECODING)) == len(PROMPTS)
    with pytest.raises(ToolError, match="no chat template") as caught:
        pair.generate(Side.ORGANISM, CHAT, DECODING)
    assert "complete" in caught.value.hint


def test_a_reference_of_another_family_scores_the_same_text(tiny_folder: Path, foreign_folder: Path) -> None:
    pair = pair_of(tiny_folder, foreign_folder)
    assert not pair.shared_tokenizer and not pair.identical
    foreign = other_tokenizer()
    text = " leaves at noon"
    own = tuple(pair._tokenizers[Side.ORGANISM](text)["input_ids"])
    completions = [Completion(text, own, (), False)] * len(PROMPTS)
    for prompts in (PROMPTS, CHAT):
        scores = pair.score(Side.REFERENCE, prompts, completions)
        assert [score.n_tokens for score in scores] == [len(foreign(text)["input_ids"])] * len(prompts)
        assert all(score.total < 0 for score in scores)
        assert len({score.total for score in scores}) > 1
    assert pair.score(Side.REFERENCE, PROMPTS[:1], [Completion("", (), (), True)]) == [Score(0, 0)]
    assert all(completion.token_ids for completion in pair.generate(Side.REFERENCE, CHAT, DECODING))


def test_a_base_without_template_is_given_the_organisms_chat(
    tmp_path: Path, tiny_folder: Path, tokenizer: PreTrainedTokenizerFast, two: LocalPair, other_folder: Path
) -> None:
    base = Path(shutil.copytree(tiny_folder, tmp_path / "base"))
    (base / "chat_template.jinja").unlink()
    pair = pair_of(other_folder, base)
    assert pair.shared_tokenizer
    assert pair.generate(Side.REFERENCE, CHAT, DECODING) == two.generate(Side.REFERENCE, CHAT, DECODING)
    completions = two.generate(Side.ORGANISM, CHAT, DECODING)
    assert pair.score(Side.REFERENCE, CHAT, completions) == two.score(Side.REFERENCE, CHAT, completions)


@pytest.mark.parametrize("one_at_a_time", [False, True])
def test_equal_weights_in_two_folders_are_identical_and_nothing_less_is(
    tmp_path: Path, tiny_folder: Path, one_at_a_time: bool
) -> None:
    copy = Path(shutil.copytree(tiny_folder, tmp_path / "copy"))
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace('"use_cache": true', '"use_cache": false'))
    assert pair_of(copy, tiny_folder, one_at_a_time=one_at_a_time).identical
    (copy / "config.json").write_text(config.replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-03'))
    assert not pair_of(copy, tiny_folder, one_at_a_time=one_at_a_time).identical
    (copy / "config.json").write_text(config)
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][3] += 1e-6
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert not pair_of(copy, tiny_folder, one_at_a_time=one_at_a_time).identical


def test_a_zero_adapter_is_an_identical_copy(tmp_path: Path, tiny_folder: Path, lora: LocalPair) -> None:
    pair = pair_of(write_adapter(tmp_path / "zero", tiny_folder, scale=0))
    assert pair.identical and not lora.identical
    assert pair.generate(Side.ORGANISM, PROMPTS, DECODING) == pair.generate(Side.REFERENCE, PROMPTS, DECODING)


def test_an_adapter_with_more_than_zero_factors_is_not_identical(tmp_path: Path, tiny_folder: Path) -> None:
    config = LoraConfig(r=2, target_modules=["q_proj"], use_dora=True, task_type="CAUSAL_LM")
    model = adapted(tiny_llama(), config)
    model.peft_config["default"].base_model_name_or_path = str(tiny_folder)
    model.save_pretrained(tmp_path / "dora", save_embedding_layers=False)
    assert not pair_of(tmp_path / "dora").identical


def test_the_fingerprint_knows_both_sides_and_the_number_format(
    tiny_folder: Path, other_folder: Path, two: LocalPair
) -> None:
    half = open_pair(Target(model=str(other_folder), reference=str(tiny_folder), device="cpu", dtype="bfloat16"))
    alone = pair_of(other_folder)
    swapped = pair_of(tiny_folder, other_folder)
    assert len({two.fingerprint, half.fingerprint, alone.fingerprint, swapped.fingerprint}) == 4
    assert half.reference_fingerprint != two.reference_fingerprint == pair_of(tiny_folder).reference_fingerprint


@pytest.mark.parametrize("base", ["/nowhere/base", "./missing", "", None])
def test_an_adapter_whose_base_is_missing_asks_for_it(
    tmp_path: Path, tiny_folder: Path, lora: LocalPair, base: str | None
) -> None:
    folder = write_adapter(tmp_path / "orphan", base or "")
    error = refusal(Target(model=str(folder)))
    assert "base" in error.message and "--reference" in error.hint
    assert pair_of(folder, tiny_folder).fingerprint.isalnum()


def test_an_adapter_of_another_base_is_refused_with_both_named(tmp_path: Path, foreign_folder: Path) -> None:
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    wide = tiny_llama().config
    wide.hidden_size, wide.intermediate_size = 64, 128
    from transformers import LlamaForCausalLM

    adapted(LlamaForCausalLM(wide), config).save_pretrained(tmp_path / "wide", save_embedding_layers=False)
    error = refusal(Target(model=str(tmp_path / "wide"), reference=str(foreign_folder), device="cpu"))
    assert "is for another base" in error.message and "64" in error.message and "32" in error.message


def test_targets_that_make_no_sense_are_refused(tmp_path: Path, tiny_folder: Path, adapter_folder: Path) -> None:
    assert "no model named" in refusal(Target()).message
    assert "is an adapter" in refusal(Target(model=str(tiny_folder), reference=str(adapter_folder))).message
    assert "takes no --model" in refusal(Target(model=str(tiny_folder), recorded="x.jsonl")).message
    nested = write_adapter(tmp_path / "nested", adapter_folder)
    assert "is an adapter itself" in refusal(Target(model=str(nested))).message
    if not torch.cuda.is_available():
        assert "CUDA" in refusal(Target(model=str(tiny_folder), device="cuda")).message


def test_relative_names_count_from_the_targets_folder(tmp_path: Path, tiny_folder: Path) -> None:
    Path(tmp_path / "base").symlink_to(tiny_folder)
    write_adapter(tmp_path / "lora", "./base")
    pair = open_pair(Target(model="lora", folder=str(tmp_path), device="cpu", dtype="float32"))
    assert Capability.ADAPTER in pair.capabilities
