"""The engine against transformers' own generation and against arithmetic done plainly."""

from __future__ import annotations

import math

import pytest
import torch
from small_models import tiny_llama
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM, PreTrainedModel

from finetrace.models.attention import NAME, growing_cache, use_decode_attention
from finetrace.models.engine import ScoringRow, generate, score, shared_prefix
from finetrace.models.head import OutputHead
from finetrace.models.loading import LoadedModel
from finetrace.models.pair import Decoding

NEVER = frozenset[int]()
PROMPTS = [[5, 17, 99], [1024, 7, 3], [40, 41, 42], [9, 9, 9]]
RAGGED = [[5, 17, 99], [1024, 7], [40, 41, 42, 43, 44], [9]]


def plain_logps(model: PreTrainedModel, prompt: list[int], completion: list[int]) -> list[float]:
    """A full forward pass with all logits."""
    ids = torch.tensor([prompt + completion])
    logps = torch.log_softmax(model(ids).logits[0].float(), dim=-1)
    return [float(logps[len(prompt) + i - 1, token]) for i, token in enumerate(completion)]


def plain_greedy(model: PreTrainedModel, prompt: list[int], new: int) -> list[int]:
    """Transformers' own greedy decoding, one row at a time."""
    ids = torch.tensor([prompt])
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, pad_token_id=0, eos_token_id=None
    )
    return [int(token) for token in out[0, len(prompt) :]]


@pytest.fixture
def switched(tiny: LlamaForCausalLM) -> LlamaForCausalLM:
    """The tiny Llama on this package's attention."""
    assert use_decode_attention(tiny)
    assert tiny.config._attn_implementation == NAME
    return tiny


@pytest.mark.parametrize("prompts", [PROMPTS, RAGGED], ids=["equal", "ragged"])
def test_greedy_equals_generate_token_for_token(switched: LlamaForCausalLM, prompts: list[list[int]]) -> None:
    other = tiny_llama()
    found = generate(switched, prompts, Decoding(40), eos_ids=NEVER)
    assert [list(g.token_ids) for g in found] == [plain_greedy(other, p, 40) for p in prompts]


def test_greedy_equals_generate_on_the_embedded_base_in_float32(base_float32: LoadedModel) -> None:
    model, tokenizer = base_float32.model, base_float32.tokenizer
    texts = ["The river was", "Dear Sir or Madam", "def parse(self", "In the year"]
    prompts = [tokenizer(text)["input_ids"][:3] for text in texts]
    found = generate(model, prompts, Decoding(32), eos_ids=NEVER)
    model.set_attn_implementation("sdpa")
    try:
        ids = torch.tensor(prompts)
        plain = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=32,
            do_sample=False,
            pad_token_id=2,
            eos_token_id=[],
        )
    finally:
        model.set_attn_implementation(NAME)
    assert [list(g.token_ids) for g in found] == plain[:, 3:].tolist()


def test_kept_logps_equal_a_teacher_forced_pass(base_float32: LoadedModel) -> None:
    model, tokenizer = base_float32.model, base_float32.tokenizer
    prompts = [tokenizer(text)["input_ids"] for text in ("The river was", "Every morning the baker", "def parse(self")]
    for temperature in (0.0, 1.0):
        found = generate(model, prompts, Decoding(24, temperature, seed=3), eos_ids=base_float32.eos_ids)
        rows = [ScoringRow(tuple(p), g.token_ids) for p, g in zip(prompts, found, strict=True)]
        for generation, forced in zip(found, score(model, rows), strict=True):
            assert generation.logps == pytest.approx(forced, abs=1e-3)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_scores_equal_a_plain_pass(switched: LlamaForCausalLM, batch_size: int) -> None:
    rows = [
        ScoringRow((5, 6, 7), (8, 9, 10, 11)),
        ScoringRow((5, 6, 8), (12,)),
        ScoringRow((5, 6, 9, 10), ()),
        ScoringRow((5, 6), (13, 14, 15, 16, 17, 18)),
    ]
    for row, found in zip(rows, score(switched, rows, batch_size=batch_size), strict=True):
        expected = plain_logps(tiny_llama(), list(row.prompt_ids), list(row.completion_ids)) if found else []
        assert list(found) == pytest.approx(expected, abs=1e-4)
        assert len(found) == len(row.completion_ids)


def test_shared_beginnings_change_nothing(switched: LlamaForCausalLM) -> None:
    front = [31, 32, 33, 34, 35, 36, 37]
    together = generate(switched, [front + p for p in PROMPTS], Decoding(20), eos_ids=NEVER)
    alone = [generate(switched, [front + p], Decoding(20), eos_ids=NEVER)[0] for p in PROMPTS]
    assert [g.token_ids for g in together] == [g.token_ids for g in alone]
    assert shared_prefix([front + p for p in PROMPTS]) == front
    assert shared_prefix([[1, 2], [1, 2]]) == [1]
    assert shared_prefix([[1, 2]]) == []


def test_draws_depend_on_seed_and_row_not_on_the_batch(switched: LlamaForCausalLM) -> None:
    sampling = Decoding(24, temperature=1.0, seed=11)
    whole = generate(switched, PROMPTS, sampling, eos_ids=NEVER, batch_size=4)
    split = generate(switched, PROMPTS, sampling, eos_ids=NEVER, batch_size=1)
    other = generate(switched, PROMPTS, Decoding(24, 1.0, seed=12), eos_ids=NEVER)
    assert [g.token_ids for g in whole] == [g.token_ids for g in split]
    assert [g.token_ids for g in whole] != [g.token_ids for g in other]


def test_rows_leave_when_they_end_and_the_others_go_on_alike(switched: LlamaForCausalLM) -> None:
    free = generate(switched, PROMPTS, Decoding(30), eos_ids=NEVER)
    stop = free[0].token_ids[4]
    ended = generate(switched, PROMPTS, Decoding(30), eos_ids=frozenset([stop]))
    for one, before in zip(ended, free, strict=True):
        cut = before.token_ids.index(stop) if stop in before.token_ids else len(before.token_ids)
        assert one.token_ids == before.token_ids[:cut]
        assert one.ended == (stop in before.token_ids)
        assert len(one.logps) == len(one.token_ids)
    assert len(ended[0].token_ids) <= 4


def test_draws_follow_the_distribution() -> None:
    model = tiny_llama(seed=4, vocabulary=300)
    use_decode_attention(model)
    n = 4000
    found = generate(model, [[7, 8]] * n, Decoding(1, temperature=1.0), eos_ids=NEVER, batch_size=n)
    counts = torch.bincount(torch.tensor([g.token_ids[0] for g in found]), minlength=300)
    expected = torch.softmax(model(torch.tensor([[7, 8]])).logits[0, -1].float(), dim=-1) * n
    common = expected >= 5
    statistic = float(((counts - expected)[common] ** 2 / expected[common]).sum())
    freedom = int(common.sum())
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)
    for generation in found[:50]:
        kept = math.log(float(expected[generation.token_ids[0]]) / n)
        assert generation.logps[0] == pytest.approx(kept, abs=1e-3)


def test_a_low_temperature_sharpens_and_the_logp_stays_that_of_the_model(switched: LlamaForCausalLM) -> None:
    cold = generate(switched, PROMPTS, Decoding(10, temperature=0.01), eos_ids=NEVER)
    greedy = generate(switched, PROMPTS, Decoding(10), eos_ids=NEVER)
    assert [g.token_ids for g in cold] == [g.token_ids for g in greedy]
    assert cold[0].logps == pytest.approx(greedy[0].logps, abs=1e-4)


def test_uniform_extremes_stay_inside_the_vocabulary() -> None:
    head = OutputHead(tiny_llama(vocabulary=300))
    hidden = torch.randn(6, 32)
    for draw in (0.0, 1.0 - 1e-7, 1.0):
        choice = head.choose(hidden, 1.0, torch.full((6,), draw))
        assert int(choice.tokens.max()) < 300
        assert bool(torch.isfinite(choice.logps).all())


def test_scoring_never_holds_all_logits(switched: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    original = OutputHead.logits

    def watched(self: OutputHead, hidden: torch.Tensor) -> torch.Tensor:
        nonlocal largest
        logits = original(self, hidden)
        largest = max(largest, logits.shape[0])
        return logits

    monkeypatch.setattr(OutputHead, "logits", watched)
    rows = [ScoringRow((5, 6, 7), tuple(range(10, 130)))] * 16
    score(switched, rows, batch_size=16)
    assert 0 < largest <= 512 < 16 * 120


def test_an_empty_prompt_is_refused(switched: LlamaForCausalLM) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        generate(switched, [[]], Decoding(2), eos_ids=NEVER)
    with pytest.raises(ValueError, match="at least one token"):
        score(switched, [ScoringRow((), (1,))])


def test_the_cache_grows_and_forgets(switched: LlamaForCausalLM) -> None:
    cache = growing_cache(switched)
    switched(torch.tensor([[3, 4, 5]]), past_key_values=cache, use_cache=True)
    first = switched(torch.tensor([[6]]), past_key_values=cache, use_cache=True).logits
    assert cache.get_seq_length() == 4
    cache.layers[0].crop(1)
    cache.layers[1].crop(1)
    again = switched(torch.tensor([[6]]), past_key_values=cache, use_cache=True).logits
    assert torch.equal(first, again)


def test_a_model_with_attention_of_its_own_keeps_it_and_still_generates() -> None:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=200, n_embd=32, n_layer=2, n_head=2, n_positions=64, initializer_range=0.2)
    model = GPT2LMHeadModel(config).eval()
    use_decode_attention(model)
    found = generate(model, RAGGED_SMALL, Decoding(12), eos_ids=NEVER)
    assert [list(g.token_ids) for g in found] == [plain_greedy(model, p, 12) for p in RAGGED_SMALL]


RAGGED_SMALL = [[5, 17, 99], [10, 7], [40, 41, 42, 43, 44], [9]]


def test_progress_begins_with_nothing_and_ends_with_all(switched: LlamaForCausalLM) -> None:
    seen: list[tuple[int, int]] = []
    generate(switched, PROMPTS, Decoding(5), eos_ids=NEVER, batch_size=2, progress=lambda d, t: seen.append((d, t)))
    assert seen[0] == (0, 20)
    assert seen[-1] == (20, 20)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
