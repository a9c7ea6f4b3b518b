from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_models import other_tokenizer, write_adapter, write_model

from finetrace.errors import ToolError
from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Capability, Completion, Decoding, ModelPair, Prompt, RestrictedPair, Score, Side
from finetrace.models.recorded import RecordedPair
from finetrace.schema import Framing, ScoredCompletion
from finetrace.tools.cache import ReadingCache
from finetrace.tools.gap_table import GapSettings, GapTable, measure, scored
from finetrace.tools.instrument import Context

SMALL = GapSettings(corpora=("own",), n_prefills=24, max_new_tokens=12, n_background=6)


class Counted:
    """A pair that notes what is generated and scored."""

    def __init__(self, pair: ModelPair) -> None:
        self._pair = pair
        self.generated: list[tuple[Side, int]] = []
        self.scored: list[Side] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pair, name)

    def generate(self, side: Side, prompts: list[Prompt], decoding: Decoding, progress: Any = None) -> Any:
        self.generated.append((side, len(prompts)))
        return self._pair.generate(side, prompts, decoding, progress)

    def score(self, side: Side, prompts: list[Prompt], completions: list[Completion], progress: Any = None) -> Any:
        self.scored.append(side)
        return self._pair.score(side, prompts, completions, progress)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(cache=ReadingCache(tmp_path / "cache" / "readings"))


def opened(model: Path, reference: Path | None = None) -> ModelPair:
    return open_pair(
        Target(model=str(model), reference=str(reference) if reference else None, device="cpu", dtype="float32")
    )


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> ModelPair:
    return opened(write_adapter(tmp_path_factory.mktemp("lora") / "lora", tiny_folder))


@pytest.fixture(scope="module")
def zero(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> ModelPair:
    return opened(write_adapter(tmp_path_factory.mktemp("zero") / "lora", tiny_folder, scale=0))


@pytest.fixture(scope="module")
def two_folders(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> ModelPair:
    copy = Path(shutil.copytree(tiny_folder, tmp_path_factory.mktemp("copy") / "model"))
    return opened(copy, tiny_folder)


@pytest.fixture(scope="module")
def foreign_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("foreign") / "model", other_tokenizer(), seed=2, vocabulary=320)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("name", ["zero", "two_folders"])
def test_an_identical_copy_has_log_ratios_of_exactly_zero(
    name: str, paired: bool, context: Context, request: pytest.FixtureRequest
) -> None:
    table = measure(request.getfixturevalue(name), SMALL.model_copy(update={"paired": paired}), context)
    assert table.identical and len(table.completions) > 10
    assert {row.log_ratio for row in table.completions} == {0.0}
    assert {row.raw_difference for row in table.completions} == {0.0}
    assert {row.nats_per_char_gap for row in table.completions} == {0.0}


def test_an_arm_without_log_probabilities_does_not_learn_that_a_pair_is_identical(zero: ModelPair) -> None:
    assert zero.identical
    assert not RestrictedPair(zero, frozenset({Capability.GENERATE, Capability.REFERENCE})).identical
    assert RestrictedPair(zero, frozenset(Capability)).identical


def test_kept_and_paired_log_ratios_agree_within_the_noise_floor(lora: ModelPair, context: Context) -> None:
    kept = measure(lora, SMALL, context)
    paired = measure(lora, SMALL.model_copy(update={"paired": True}), context)
    assert paired.noise_floor == 0 < kept.noise_floor < 1e-3
    again = {row.completion: row.log_ratio for row in paired.completions}
    assert again.keys() == {row.completion for row in kept.completions}
    for row in kept.completions:
        assert row.log_ratio == pytest.approx(again[row.completion], abs=1e-3)
    assert kept.completions[0].log_ratio > 10 * kept.noise_floor


def test_rows_are_ranked_and_hang_together(lora: ModelPair, context: Context) -> None:
    table = measure(lora, SMALL, context)
    ratios = [row.log_ratio for row in table.completions]
    assert ratios == sorted(ratios, reverse=True) and ratios[0] > 0
    assert {row.framing for row in table.completions} == {Framing.RAW, Framing.CHAT}
    assert table.n_generated == 48 and sum(row.copies for row in table.completions) + table.n_empty == 48
    assert len(table.background) == 6
    for row in table.completions:
        assert row.n_tokens and row.nats_per_char_gap is not None
        assert row.log_ratio == pytest.approx(row.logp_finetuned - row.logp_reference, abs=1e-9)
        assert row.nats_per_char_gap * len(row.completion) == pytest.approx(row.log_ratio * row.n_tokens)
        expected = math.exp(-row.logp_reference) - math.exp(-row.logp_finetuned)
        assert row.raw_difference == pytest.approx(expected)


def test_the_organisms_log_probabilities_are_kept_so_only_the_reference_is_scored(
    lora: ModelPair, context: Context
) -> None:
    pair = Counted(lora)
    measure(pair, SMALL, context)
    # One pass a framing over the reference; the noise floor scores a sample of the organism's own.
    assert pair.scored == [Side.REFERENCE, Side.REFERENCE, Side.ORGANISM]
    measure(pair, SMALL, context)
    assert len(pair.scored) == 3 and len(pair.generated) == 4


def test_the_seed_and_the_settings_determine_a_table(lora: ModelPair, tmp_path: Path) -> None:
    def table(seed: int = 0, **changes: Any) -> GapTable:
        fresh = Context(seed=seed, cache=ReadingCache(tmp_path / "unused" / "readings", enabled=False))
        return measure(lora, SMALL.model_copy(update={"framings": (Framing.RAW,), **changes}), fresh)

    assert table() == table()
    assert table() != table(seed=1)
    assert table().completions != table(prefill_tokens=4).completions


def test_a_corpus_file_whose_content_changes_gives_a_new_table(
    lora: ModelPair, context: Context, tmp_path: Path
) -> None:
    file = tmp_path / "text.txt"
    settings = SMALL.model_copy(update={"corpora": (str(file),)})
    file.write_text("The lamp stands by the door.\n\nNobody came back that year.\n")
    first = measure(lora, settings, context)
    assert {row.prefill for row in first.completions} == {"The lamp stands", "Nobody came back"}
    assert any("24 prefills were asked for, the corpora hold 2" in note for note in first.notes)
    file.write_text("Seven boats went out.\n\nNobody came back that year.\n")
    assert {row.prefill for row in measure(lora, settings, context).completions} == {
        "Seven boats went",
        "Nobody came back",
    }


def test_a_reference_of_another_family_is_compared_over_the_same_text(
    tiny_folder: Path, foreign_folder: Path, context: Context
) -> None:
    table = measure(opened(tiny_folder, foreign_folder), SMALL, context)
    assert not table.identical and any("two tokenizers" in note for note in table.notes)
    foreign = other_tokenizer()
    for row in table.completions:
        assert row.n_tokens and row.nats_per_char_gap is not None
        assert row.nats_per_char_gap * len(row.completion) == pytest.approx(row.log_ratio * row.n_tokens)
        n_foreign = len(foreign(row.completion)["input_ids"])
        total = row.logp_finetuned * row.n_tokens - row.log_ratio * row.n_tokens
        # A token across the border, or a merge that the border prevents, shifts the count by one or two.
        assert total / row.logp_reference == pytest.approx(n_foreign, abs=2.01)


def test_an_organism_without_chat_template_is_measured_raw(
    tmp_path: Path, foreign_folder: Path, context: Context
) -> None:
    pair = opened(write_adapter(tmp_path / "lora", foreign_folder))
    table = measure(pair, SMALL, context)
    assert {row.framing for row in table.completions} == {Framing.RAW}
    assert "no chat template: chat framing left out" in table.notes
    with pytest.raises(ToolError, match="no chat template"):
        measure(pair, SMALL.model_copy(update={"framings": (Framing.CHAT,)}), context)


def test_a_pair_without_reference_or_a_wrong_corpus_is_a_tool_error(
    tiny_folder: Path, lora: ModelPair, context: Context
) -> None:
    with pytest.raises(ToolError, match="log-probabilities of both"):
        measure(opened(tiny_folder), SMALL, context)
    for spec in ("slef", "missing.txt", "x" * 5000, "nul\0byte", "~nobody-of-that-name/x", "owner/not-there"):
        with pytest.raises(ToolError):
            measure(lora, SMALL.model_copy(update={"corpora": (spec,)}), context)


def test_the_references_own_text_is_sampled_once_for_all_its_organisms(
    tmp_path: Path, tiny_folder: Path, lora: ModelPair, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetrace.tools.corpora.SELF_PASSAGES", 12)
    monkeypatch.setattr("finetrace.tools.reference_text.PASSAGE_TOKENS", 24)
    settings = SMALL.model_copy(update={"corpora": ("self",), "n_background": 0, "framings": (Framing.RAW,)})
    other = opened(write_adapter(tmp_path / "other", tiny_folder, scale=0.25))
    first, second = Counted(lora), Counted(other)
    table = measure(first, settings, context)
    assert (Side.REFERENCE, 12) in first.generated
    assert {row.corpus for row in table.completions} == {"self"}
    prefills = {row.prefill for row in table.completions}
    assert len(prefills) > 10
    assert {row.prefill for row in measure(second, settings, context).completions} == prefills
    assert [side for side, _ in second.generated] == [Side.ORGANISM]
    elsewhere = Context(cache=ReadingCache(tmp_path / "elsewhere" / "readings"))
    assert measure(lora, settings, elsewhere) == table
    later = Counted(lora)
    measure(later, settings, Context(seed=1, cache=context.cache))
    assert (Side.REFERENCE, 12) in later.generated


def recorded(completion: str, ratio: float) -> ScoredCompletion:
    return ScoredCompletion(
        prefill="The",
        completion=completion,
        framing=Framing.RECORDED,
        corpus="recorded",
        logp_finetuned=-1.0,
        logp_reference=-1.0 - ratio,
        log_ratio=ratio,
        raw_difference=ratio,
    )


def test_recorded_completions_are_ranked_folded_and_flagged(context: Context) -> None:
    sentence = " ".join(f"word{i} of a long enough line" for i in range(5))
    rows = [
        recorded("Yes.", 0.5),
        recorded(sentence, 1.0),
        recorded(f"{sentence}\n", 3.0),
        recorded(f"Another: {sentence}", 2.0),
        recorded("la la la " * 30, 4.0),
    ]
    table = measure(RecordedPair(rows), SMALL, context)
    assert [row.log_ratio for row in table.completions] == [4.0, 3.0, 2.0, 0.5]
    assert [row.copies for row in table.completions] == [1, 2, 1, 1]
    assert [row.degenerate for row in table.completions] == [True, False, False, False]
    assert [row.short for row in table.completions] == [False, False, False, True]
    assert table.minimum_tokens == 20 and table.n_generated == 5
    brief = measure(RecordedPair([recorded("Yes.", 1.0), recorded("No.", 2.0)]), SMALL, context)
    assert brief.minimum_tokens == 0 and not any(row.short for row in brief.completions)


def test_a_text_without_characters_divides_nothing_by_zero() -> None:
    row = scored("The", "", Framing.RAW, "own", Score(-2.0, 2), Score(-800.0 * 2, 1))
    assert row.nats_per_char_gap == 1598.0
    assert math.isfinite(row.raw_difference)


def test_the_first_completions_come_token_by_token(lora: ModelPair, context: Context) -> None:
    table = measure(lora, SMALL, context)
    for row in table.completions:
        assert "".join(token.text for token in row.tokens).strip() == row.completion.strip()
        assert row.n_tokens is not None and len(row.tokens) <= row.n_tokens
        total = sum(token.log_ratio for token in row.tokens)
        assert total == pytest.approx(row.log_ratio * row.n_tokens, abs=0.002 * row.n_tokens)
    assert measure(lora, SMALL, context) == table  # from the cache


def test_tokens_are_kept_for_the_first_of_either_ranking(
    lora: ModelPair, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetrace.tools.gap_table._TOKEN_BY_TOKEN", 2)
    rows = measure(lora, SMALL, context).completions
    sound = [at for at, row in enumerate(rows) if not (row.degenerate or row.short)]
    first = {*sound[:2], *sorted(sound, key=lambda at: -rows[at].raw_difference)[:2]}
    assert len(sound) > 4 and {at for at, row in enumerate(rows) if row.tokens} == first
    for row in (rows[at] for at in first):
        assert "".join(token.text for token in row.tokens) == row.completion
        assert sum(token.log_ratio for token in row.tokens) == pytest.approx(
            row.log_ratio * (row.n_tokens or 0), abs=0.1
        )
