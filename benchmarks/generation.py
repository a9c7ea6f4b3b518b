"""The engine against transformers' own `generate`, and the perplexity-gap pipeline against the plain one.

    python -m benchmarks.generation [--runs 5] [--json]

Same model, prompts and settings in one interleaved run, medians and spread over the runs. The prompts are the
instrument's own: 128 prefills of three tokens, half of them in raw and half in chat framing, 64 new tokens, all sides
at a batch of 128. The plain side runs in the number format in which it is faster here. What is compared:

- ``sampling_ratio`` and ``greedy_ratio``: seconds of `generate` over seconds of the engine;
- ``pipeline_ratio``: `generate`, then one forward pass a model with full logits, over generation with kept
  log-probabilities and one scoring pass of the reference;
- ``matmul_share``: the matrix-product FLOP the engine does a second, over the best this machine does on products of the
  model's own shapes in the same format.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from finetrace.models.attention import use_decode_attention
from finetrace.models.device import choose_dtype
from finetrace.models.embedded import embedded_base
from finetrace.models.engine import Generation, ScoringRow, generate, score
from finetrace.models.pair import Decoding
from finetrace.models.tokens import prompt_ids
from finetrace.schema import Framing
from finetrace.tools.corpora import Corpus, own_openings, prefills
from finetrace.tools.gap_table import prefill_prompt

BATCH = 128
NEW_TOKENS = 64


class Setting(NamedTuple):
    """Prompts of one framing."""

    framing: str
    ids: list[list[int]]


class Bench:
    """Everything that is compared."""

    def __init__(self) -> None:
        logging.disable_progress_bar()
        self.folder = embedded_base()
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
        self.dtype = choose_dtype()
        self.ours = self._load(self.dtype)
        if not use_decode_attention(self.ours):
            print("decode attention is off on this machine", file=sys.stderr)
        self.eos = frozenset([self.tokenizer.eos_token_id])
        self.settings = self._settings()
        self.plain = self._best_plain()

    def _load(self, dtype: torch.dtype) -> PreTrainedModel:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(self.folder, dtype=dtype)
        return model.eval()

    def _settings(self) -> list[Setting]:
        corpus = Corpus("own", "", tuple(own_openings()))
        found = prefills(corpus, self.tokenizer, BATCH)
        return [
            Setting(f.value, [prompt_ids(self.tokenizer, prefill_prompt(p.text, f, p.token_ids)) for p in found])
            for f in (Framing.RAW, Framing.CHAT)
        ]

    def _best_plain(self) -> PreTrainedModel:
        """`generate` in whichever of bfloat16 and float32 is faster here."""
        models = [self._load(dtype) for dtype in (torch.bfloat16, torch.float32)]
        return min(models, key=lambda model: seconds(lambda: self.plain_generate(self.settings[0], 0.0, model, 16)))

    def plain_generate(
        self, setting: Setting, temperature: float, model: PreTrainedModel | None = None, new: int = NEW_TOKENS
    ) -> torch.Tensor:
        """Transformers' own loop."""
        ids = torch.tensor(setting.ids)
        sampled = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        with torch.inference_mode():
            output: torch.Tensor = (model or self.plain).generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=new,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
                **(sampled if temperature else {"do_sample": False}),
            )
        return output

    def our_generate(self, setting: Setting, temperature: float) -> list[Generation]:
        """The engine."""
        sampling = Decoding(NEW_TOKENS, temperature)
        return generate(self.ours, setting.ids, sampling, eos_ids=self.eos, batch_size=BATCH)

    def plain_pipeline(self, setting: Setting) -> None:
        """`generate`, then a forward pass a model over prompt and completion with all logits."""
        output = self.plain_generate(setting, 0.0)
        width = len(setting.ids[0])
        for _ in ("finetuned", "reference"):
            with torch.inference_mode():
                logits = self.plain(output[:, :-1]).logits[:, width - 1 :]
                logps = torch.log_softmax(logits.float(), dim=-1)
                logps.gather(2, output[:, width:, None]).mean()

    def our_pipeline(self, setting: Setting) -> None:
        """Generation with kept log-probabilities, then one scoring pass of the reference."""
        written = self.our_generate(setting, 0.0)
        rows = [ScoringRow(tuple(p), g.token_ids) for p, g in zip(setting.ids, written, strict=True)]
        score(self.ours, rows, batch_size=BATCH // 2)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def matmul_rate(model: PreTrainedModel, rows: int = BATCH) -> float:
    """FLOP/s on products `[rows, in] @ [in, out]` of the model's own shapes, weighted as in one pass."""
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    flop = sum(2 * rows * layer.in_features * layer.out_features for layer in layers)
    inputs = {m.in_features: torch.randn(rows, m.in_features, dtype=model.dtype) for m in layers}

    def once() -> None:
        with torch.inference_mode():
            for layer in layers:
                torch.nn.functional.linear(inputs[layer.in_features], layer.weight)

    once()
    return float(flop / statistics.median(seconds(once) for _ in range(5)))


def square_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """FLOP/s on a large square product."""
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    torch.mm(a, b)
    return 2 * size**3 / statistics.median(seconds(lambda: torch.mm(a, b)) for _ in range(5))


def generation_flop(model: PreTrainedModel, setting: Setting, written: Sequence[Generation]) -> float:
    """Matrix-product FLOP the engine needs for these completions: linear layers only, attention not counted."""
    body = sum(2 * m.in_features * m.out_features for m in model.model.modules() if isinstance(m, torch.nn.Linear))
    head = 2 * model.config.hidden_size * model.config.vocab_size
    tokens = sum(len(g.token_ids) + g.ended for g in written)
    shared = len(setting.ids[0]) - 3
    return float(tokens * (body + head) + (shared + 2 * len(written)) * body)


def measure(runs: int) -> dict[str, Any]:
    """All figures."""
    bench = Bench()
    works: dict[str, Callable[[Setting], object]] = {
        "ours_sampling": lambda s: bench.our_generate(s, 1.0),
        "plain_sampling": lambda s: bench.plain_generate(s, 1.0),
        "ours_greedy": lambda s: bench.our_generate(s, 0.0),
        "plain_greedy": lambda s: bench.plain_generate(s, 0.0),
        "ours_pipeline": bench.our_pipeline,
        "plain_pipeline": bench.plain_pipeline,
    }
    flop = {s.framing: generation_flop(bench.ours, s, bench.our_generate(s, 0.0)) for s in bench.settings}
    times: dict[str, dict[str, list[float]]] = {name: {s.framing: [] for s in bench.settings} for name in works}
    shares: list[float] = []
    rates: list[float] = []
    for run in range(runs):
        for setting in bench.settings:
            for name, work in works.items():
                times[name][setting.framing].append(seconds(lambda w=work, s=setting: w(s)))  # type: ignore[misc]
        rates.append(matmul_rate(bench.ours))
        spent = sum(times["ours_greedy"][s.framing][-1] for s in bench.settings)
        shares.append(sum(flop.values()) / spent / rates[-1])
        print(f"run {run + 1} of {runs} done", file=sys.stderr)
    return report(times, shares, rates, square_rate(bench.dtype), bench)


def report(
    times: dict[str, dict[str, list[float]]], shares: list[float], rates: list[float], square: float, bench: Bench
) -> dict[str, Any]:
    """Ratios run by run over both framings, and each framing's own."""

    def ratios(what: str, framings: Sequence[str]) -> list[float]:
        plain, ours = (
            [sum(times[f"{who}_{what}"][f][i] for f in framings) for i in range(len(rates))]
            for who in ("plain", "ours")
        )
        return [p / o for p, o in zip(plain, ours, strict=True)]

    framings = [s.framing for s in bench.settings]
    tokens = BATCH * NEW_TOKENS
    return {
        **{f"{what}_ratio": statistics.median(ratios(what, framings)) for what in ("sampling", "greedy", "pipeline")},
        "matmul_share": statistics.median(shares),
        "spread": {
            **{what: spread(ratios(what, framings)) for what in ("sampling", "greedy", "pipeline")},
            "matmul_share": spread(shares),
        },
        "by_framing": {
            f: {what: statistics.median(ratios(what, [f])) for what in ("sampling", "greedy", "pipeline")}
            for f in framings
        },
        "tokens_per_second": {
            name: {f: tokens / statistics.median(values) for f, values in own.items()} for name, own in times.items()
        },
        "matmul_gflops": statistics.median(rates) / 1e9,
        "square_matmul_gflops": square / 1e9,
        "dtype": str(bench.dtype).removeprefix("torch."),
        "plain_dtype": str(bench.plain.dtype).removeprefix("torch."),
        "batch": BATCH,
        "new_tokens": NEW_TOKENS,
        "runs": len(rates),
        "threads": torch.get_num_threads(),
        "seconds": times,
    }


def spread(values: Sequence[float]) -> list[float]:
    """Smallest and largest."""
    return [min(values), max(values)]


def show(result: dict[str, Any]) -> None:
    """The figures for people."""
    print(f"batch {BATCH} × {NEW_TOKENS} new tokens, {result['runs']} runs, {result['threads']} threads, ", end="")
    print(f"engine {result['dtype']}, plain {result['plain_dtype']}; medians [smallest, largest]\n")
    for what, against in (
        ("sampling", "generate with sampling"),
        ("greedy", "generate, greedy"),
        ("pipeline", "generate and two full scoring passes"),
    ):
        low, high = result["spread"][what]
        each = ", ".join(f"{f} {v[what]:.2f}" for f, v in result["by_framing"].items())
        print(f"{result[f'{what}_ratio']:.2f}× [{low:.2f}, {high:.2f}] against {against} ({each})")
    low, high = result["spread"]["matmul_share"]
    print(
        f"{result['matmul_share']:.0%} [{low:.0%}, {high:.0%}] of {result['matmul_gflops']:.0f} GFLOP/s, the rate of "
    )
    print(f"the model's own matrix products (large square ones: {result['square_matmul_gflops']:.0f})\n")
    for name, own in result["tokens_per_second"].items():
        print(f"{name:16s}", "  ".join(f"{f} {v:6.0f} tokens/s" for f, v in own.items()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    result = measure(options.runs)
    if options.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
