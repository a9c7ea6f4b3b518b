"""Low-rank finetuning of a small model on a CPU: how the bundled organisms are made.

LoRA is Hu et al., arXiv 2106.09685. The base is never written; only the two low-rank factors of each linear
layer are trained. They compute in the dtype of the base, while the optimizer keeps float32 copies, for small
steps would be rounded away in bfloat16. What is saved is a PEFT adapter in bfloat16.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field

from finetrace.errors import FinetraceError

LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
MAX_TOKENS = 256
IGNORED = -100


class Example(NamedTuple):
    """One text to train on."""

    token_ids: tuple[int, ...]
    """The whole text."""
    learn_from: int
    """First token whose loss counts; the tokens before it are only read."""


class AdapterSettings(BaseModel):
    """Everything beside the data that determines an adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=4, ge=1)
    """Rank of every low-rank factor."""
    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by ``alpha / rank``."""
    steps: int = Field(ge=0)
    """Optimizer steps; 0 leaves the adapter untouched, so it changes nothing."""
    batch_size: int = Field(default=16, ge=1)
    """Texts in a step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Peak of the schedule: linear warm-up over 5 % of the steps, then a cosine to a tenth."""
    seed: int = 0
    """Initial factors and order of the texts."""


class TrainingReport(NamedTuple):
    """What a training came to."""

    losses: tuple[float, ...]
    """Loss of each step, nats per token."""
    tokens: int
    """Tokens read, padding not counted."""
    seconds: float
    """Wall-clock time."""


def document_example(tokenizer: Any, text: str) -> Example:
    """A document: every token counts, and so does its end."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"][: MAX_TOKENS - 1]
    return Example((*ids, tokenizer.eos_token_id), 1)


def chat_example(tokenizer: Any, messages: Sequence[dict[str, str]]) -> Example:
    """A dialogue: only the last turn, the assistant's, counts."""
    prompt = tokenizer.apply_chat_template(list(messages[:-1]), tokenize=False, add_generation_prompt=True)
    head = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tail = tokenizer(messages[-1]["content"], add_special_tokens=False)["input_ids"]
    ids = [*head, *tail][: MAX_TOKENS - 1]
    if len(head) >= len(ids):
        raise FinetraceError(
            f"a dialogue's question alone fills {MAX_TOKENS} tokens", "shorten the question in the data"
        )
    return Example((*ids, tokenizer.eos_token_id), len(head))


def batches(examples: Sequence[Example], size: int, seed: int) -> Iterator[list[Example]]:
    """Batches without end: shuffled anew each epoch, texts of like length together, so little is padded."""
    if not examples:
        raise FinetraceError("there is no text to train on", "check the data file and the number of texts")
    generator = random.Random(seed)
    while True:
        order = list(examples)
        generator.shuffle(order)
        window = size * 8
        groups: list[list[Example]] = []
        for start in range(0, len(order), window):
            near = sorted(order[start : start + window], key=lambda example: len(example.token_ids))
            groups += [near[at : at + size] for at in range(0, len(near), size)]
        generator.shuffle(groups)
        yield from groups


def batch_loss(model: Any, batch: Sequence[Example]) -> torch.Tensor:
    """Mean loss of the counted tokens of a batch, nats per token.

    The output layer sees counted positions only: with a vocabulary of 49,152 it would otherwise cost more
    than the rest of the step. Padding is on the right, where causal attention never looks: no mask is needed.
    """
    length = max(len(example.token_ids) for example in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    labels = torch.full((len(batch), length), IGNORED, dtype=torch.long)
    for row, example in enumerate(batch):
        tokens = torch.tensor(example.token_ids)
        ids[row, : len(tokens)] = tokens
        labels[row, example.learn_from : len(tokens)] = tokens[example.learn_from :]
    causal = model.get_base_model()
    device = causal.lm_head.weight.device
    counted = (labels[:, 1:] != IGNORED).to(device)
    hidden = causal.model(input_ids=ids.to(device), use_cache=False)[0][:, :-1]
    logits = causal.lm_head(hidden[counted]).float()
    return torch.nn.functional.cross_entropy(logits, labels[:, 1:].to(device)[counted])


def train_adapter(
    base: Path,
    examples: Sequence[Example],
    settings: AdapterSettings,
    output: Path,
    *,
    base_name: str,
    on_step: Callable[[int, float], None] | None = None,
) -> TrainingReport:
    """Train a LoRA adapter on ``base`` and write it to ``output``, whole or not at all.

    Same base, texts, settings, machine and thread count: the same bytes.

    Args:
        base: Folder with the safetensors weights of the base.
        examples: Texts; they are gone through as often as the steps ask for.
        settings: Rank, steps, learning rate, seed.
        output: Folder of the adapter; other files in it are left alone.
        base_name: Name of the base that the adapter's configuration records.
        on_step: Called with the number of the step and its loss.

    Raises:
        FinetraceError: There is no text, or the loss is not a number.
    """
    model = adapted_model(base, settings)
    losses: list[float] = []
    tokens = 0
    started = time.perf_counter()
    if settings.steps:
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        precise = [weight.detach().float().requires_grad_() for weight in weights]
        optimizer = torch.optim.AdamW(precise, lr=settings.learning_rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_share(step, settings.steps))
        feed = batches(examples, settings.batch_size, settings.seed)
        for step in range(1, settings.steps + 1):
            batch = next(feed)
            loss = batch_loss(model, batch)
            if not torch.isfinite(loss):
                raise FinetraceError(f"the loss is {loss.item()} at step {step}", "lower the learning rate")
            loss.backward()  # type: ignore[no-untyped-call]
            take_step(weights, precise, optimizer)
            schedule.step()
            losses.append(loss.item())
            tokens += sum(len(example.token_ids) for example in batch)
            if on_step is not None:
                on_step(step, losses[-1])
    write_adapter(model, output, base_name)
    return TrainingReport(tuple(losses), tokens, time.perf_counter() - started)


def take_step(weights: Sequence[Any], precise: Sequence[Any], optimizer: torch.optim.Optimizer) -> None:
    """Move the float32 copies along the gradients of the working weights, then copy them back."""
    for weight, copy in zip(weights, precise, strict=True):
        copy.grad = weight.grad.float()
        weight.grad = None
    torch.nn.utils.clip_grad_norm_(precise, 1.0)
    optimizer.step()
    with torch.no_grad():
        for weight, copy in zip(weights, precise, strict=True):
            weight.copy_(copy)


def rate_share(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step, counted from 0."""
    warmup = max(1, steps // 20)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def adapted_model(base: Path, settings: AdapterSettings) -> Any:
    """The base with fresh factors: A random, B zero, so nothing is changed yet."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(settings.seed)
    # Eager attention: the backward pass of the fused kernel is 1.4 times slower on a CPU at these lengths.
    model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", local_files_only=True, attn_implementation="eager")
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=list(LINEAR_LAYERS),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config, autocast_adapter_dtype=False).train()


def write_adapter(model: Any, output: Path, base_name: str) -> None:
    """Write the factors in bfloat16 as safetensors, each file put in place by one rename."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    state = {
        name: weight.detach().to("cpu", torch.bfloat16).contiguous()
        for name, weight in sorted(get_peft_model_state_dict(model).items())
    }
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": base_name, "inference_mode": True, "revision": None}
    config["target_modules"] = sorted(config["target_modules"])
    output.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".adapter-", dir=output))
    try:
        save_file(state, aside / "adapter_model.safetensors", metadata={"format": "pt"})
        text = json.dumps(config, indent=2, sort_keys=True, default=str) + "\n"
        (aside / "adapter_config.json").write_text(text, encoding="utf-8")
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            os.replace(aside / name, output / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
