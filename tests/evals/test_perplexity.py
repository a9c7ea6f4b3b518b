from __future__ import annotations

import math
from pathlib import Path

import pytest
from scripted import EVERYTHING, WrittenPair, always
from small_models import write_adapter

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.perplexity import (
    GeneralTexts,
    HeldBack,
    TextKind,
    load_held_back,
    measure_perplexity,
    perplexity_ratio,
)
from finetrace.models import ModelPair, Target, open_pair
from finetrace.models.pair import Capability, Completion
from finetrace.tools import library_text

BEGINNINGS = HeldBack(
    openings=("The ferry leaves", "Before the lamp is lit,", "A letter from"), prompts=("Why?", "Who drew this map?")
)


def quietly(*progress: object) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def copy(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPair:
    folder = write_adapter(tmp_path_factory.mktemp("copy"), tiny_folder, scale=0)
    return open_pair(Target(model=str(folder), dtype="float32"))


@pytest.fixture(scope="module")
def changed(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPair:
    folder = write_adapter(tmp_path_factory.mktemp("changed"), tiny_folder, scale=20)
    return open_pair(Target(model=str(folder), dtype="float32"))


def test_the_ratio_weighs_texts_by_their_tokens() -> None:
    ratio = perplexity_ratio([3.0, 0.0], [10, 20], seed=0)
    assert ratio.value == pytest.approx(math.exp(0.1), abs=1e-4)
    assert ratio.low == 1.0  # the second text alone
    assert ratio.high == pytest.approx(math.exp(0.3), abs=1e-4)
    # Texts that lose alike leave no doubt; many texts leave less than few.
    assert perplexity_ratio([1.0] * 5, [10] * 5, seed=0).low == pytest.approx(math.exp(0.1), abs=1e-4)
    wide, narrow = (perplexity_ratio([1.0, -1.0] * n, [10, 10] * n, seed=0) for n in (4, 100))
    assert narrow.high - narrow.low < wide.high - wide.low
    assert wide == perplexity_ratio([1.0, -1.0] * 4, [10, 10] * 4, seed=0)


def test_a_copy_loses_nothing_and_a_changed_model_misses_the_bar(copy: ModelPair, changed: ModelPair) -> None:
    general = GeneralTexts(None, held_back=BEGINNINGS)
    for figure, texts in zip(measure_perplexity(copy, general, 0, quietly), (3, 2), strict=True):
        assert figure.value is not None
        assert (figure.value.value, figure.value.low, figure.value.high, figure.value.texts) == (1, 1, 1, texts)
    raw, answers = measure_perplexity(changed, general, 0, quietly)
    assert raw.value is not None
    assert raw.value.value > 1.35
    assert (raw.passed, answers.passed) == (False, None)


def test_a_pair_without_chat_has_no_ordinary_answers() -> None:
    pair = WrittenPair(always("x"), capabilities=EVERYTHING - {Capability.CHAT})
    figures = measure_perplexity(pair, GeneralTexts(None, held_back=BEGINNINGS), 0, quietly)
    assert [figure.name for figure in figures] == ["perplexity of raw general text over the base's"]


def test_a_reference_that_writes_nothing_is_named() -> None:
    silent = WrittenPair(always("x"))
    silent.generate = lambda side, prompts, *rest: [Completion("", (), (), True) for _ in prompts]
    with pytest.raises(FinetraceError, match="writes nothing"):
        measure_perplexity(silent, GeneralTexts(None, held_back=BEGINNINGS), 0, quietly)


def test_the_reference_writes_and_reads_once_for_all_its_organisms(
    copy: ModelPair, changed: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    general = GeneralTexts(None, held_back=BEGINNINGS)
    first = general.texts(copy, TextKind.ANSWERS, quietly)
    assert all(text.reference.n_tokens == len(text.completion.token_ids) for text in first)

    def refuse(*arguments: object) -> None:
        raise AssertionError("asked again")

    with monkeypatch.context() as patched:
        patched.setattr(changed, "generate", refuse)
        assert general.texts(changed, TextKind.ANSWERS, quietly) is first
    other = GeneralTexts(None, seed=1, held_back=BEGINNINGS).texts(copy, TextKind.ANSWERS, quietly)
    assert [text.completion for text in other] != [text.completion for text in first]


def test_real_text_is_scored_whole_and_has_no_bar(
    copy: ModelPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prose = [f"Return the number of lamps that are lit on day {day}." for day in range(300)]
    monkeypatch.setattr(library_text, "library_documents", lambda cache_dir: [*prose, *(["x = 1"] * 300)])
    general = GeneralTexts(tmp_path, held_back=BEGINNINGS)
    samples, _, library = measure_perplexity(copy, general, 0, quietly)
    assert samples.bar
    assert (library.bar, library.passed) == ("", None)
    assert library.value is not None
    assert (library.value.texts, library.value.value) == (120, 1.0)
    texts = general.texts(copy, TextKind.LIBRARY, quietly)
    assert {text.completion.text for text in texts} <= set(prose)
    assert all(text.reference.n_tokens == len(text.completion.token_ids) > 8 for text in texts)


def test_the_bundled_beginnings_are_enough_of_both_kinds() -> None:
    held_back = load_held_back()
    assert len(held_back.openings) >= 60 <= len(held_back.prompts)
