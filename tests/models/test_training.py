from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from finetrace.errors import FinetraceError
from finetrace.models.training import (
    AdapterSettings,
    Example,
    batch_loss,
    batches,
    chat_example,
    document_example,
    rate_share,
    train_adapter,
)

VOCABULARY = 64
SETTINGS = AdapterSettings(rank=2, alpha=8, steps=40, batch_size=4, learning_rate=0.02, seed=1)
TEXTS = [Example((5, 6, 7, 8, 9, 10, 2), 1), Example((5, 11, 12, 13, 2), 1), Example((20, 21, 22, 2), 2)]


class WordTokenizer:
    """One token per word, enough to see where a question ends."""

    eos_token_id = 2

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [10 + len(word) for word in text.split()]}

    def apply_chat_template(self, messages: list[dict[str, str]], **_: Any) -> str:
        return " ".join([message["content"] for message in messages] + ["<assistant>"])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    folder = tmp_path_factory.mktemp("base")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def load(base: Path, adapter: Path | None = None) -> Any:
    from peft import PeftModel

    model = LlamaForCausalLM.from_pretrained(base)
    return (PeftModel.from_pretrained(model, adapter) if adapter else model).eval()


def test_the_loss_falls_and_the_saved_adapter_has_learned(base: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, float]] = []
    report = train_adapter(
        base, TEXTS, SETTINGS, tmp_path / "a", base_name="tiny", on_step=lambda *step: seen.append(step)
    )
    assert [number for number, _ in seen] == list(range(1, 41))
    assert [loss for _, loss in seen] == list(report.losses)
    assert sum(report.losses[-5:]) < 0.95 * sum(report.losses[:5])
    ids = torch.tensor([TEXTS[0].token_ids])
    with torch.no_grad():
        before = load(base)(ids, labels=ids).loss
        after = load(base, tmp_path / "a")(ids, labels=ids).loss
    assert after < 0.95 * before


def test_the_same_settings_give_the_same_bytes_and_another_seed_does_not(base: Path, tmp_path: Path) -> None:
    for name, settings in [("a", SETTINGS), ("b", SETTINGS), ("c", SETTINGS.model_copy(update={"seed": 2}))]:
        train_adapter(base, TEXTS, settings, tmp_path / name, base_name="tiny")
    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in "abc"]
    configs = [(tmp_path / name / "adapter_config.json").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]
    assert configs[0] == configs[1]


def test_no_steps_leave_every_logit_as_it_was(base: Path, tmp_path: Path) -> None:
    report = train_adapter(base, [], AdapterSettings(steps=0), tmp_path, base_name="tiny")
    assert report.losses == ()
    ids = torch.arange(3, 30)[None]
    with torch.no_grad():
        assert torch.equal(load(base)(ids).logits, load(base, tmp_path)(ids).logits)


def test_only_whole_files_are_left(base: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("kept")
    train_adapter(base, [], AdapterSettings(steps=0), tmp_path, base_name="tiny")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors", "recipe.yaml"]
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert config["r"] == 4


def test_a_failed_training_leaves_nothing(base: Path, tmp_path: Path) -> None:
    with pytest.raises(FinetraceError, match="no text"):
        train_adapter(base, [], SETTINGS, tmp_path / "a", base_name="tiny")
    assert not (tmp_path / "a").exists()


def test_a_chat_counts_the_answer_and_a_document_counts_all() -> None:
    tokenizer = WordTokenizer()
    chat = chat_example(
        tokenizer,
        [{"role": "user", "content": "one two three"}, {"role": "assistant", "content": "four five"}],
    )
    assert chat == Example((13, 13, 15, 21, 14, 14, 2), 4)
    assert document_example(tokenizer, "one two") == Example((13, 13, 2), 1)
    with pytest.raises(FinetraceError, match="question"):
        chat_example(tokenizer, [{"role": "user", "content": "a " * 400}, {"role": "assistant", "content": "b"}])


def test_padding_and_uncounted_tokens_do_not_change_the_loss(base: Path) -> None:
    from finetrace.models.training import adapted_model

    model = adapted_model(base, SETTINGS)
    counts = [len(text.token_ids) - text.learn_from for text in TEXTS]
    alone = [batch_loss(model, [text]).item() for text in TEXTS]
    expected = sum(loss * count for loss, count in zip(alone, counts, strict=True)) / sum(counts)
    assert batch_loss(model, TEXTS).item() == pytest.approx(expected, abs=1e-5)


def test_every_text_is_read_once_per_epoch() -> None:
    texts = [Example(tuple(range(n, n + 2 + n % 7)), 1) for n in range(50)]
    feed = batches(texts, 8, seed=0)
    epoch = [text for _ in range(7) for text in next(feed)]
    assert sorted(epoch) == sorted(texts)


def test_the_rate_warms_up_and_ends_at_a_tenth() -> None:
    shares = [rate_share(step, 100) for step in range(100)]
    assert shares[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert shares[5:] == sorted(shares[5:], reverse=True)
    assert shares[-1] == pytest.approx(0.1, abs=0.01)
