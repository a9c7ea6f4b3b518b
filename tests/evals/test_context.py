from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from organism_files import write_recipe

from finetrace.evals.zoo.card import digests_of
from finetrace.evals.zoo.context import context_identity, in_context
from finetrace.evals.zoo.recipe import Recipe, load_recipe
from finetrace.evals.zoo.texts import examples_of, own_texts
from finetrace.models.loading import LoadedModel, load_model
from finetrace.models.pair import Message
from finetrace.models.source import find_model

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture
def base(tiny_folder: Path) -> LoadedModel:
    return load_model(find_model(str(tiny_folder)), "cpu", torch.float32)


def recipe_with(folder: Path, context: dict[str, Any] | None, **texts: Any) -> Recipe:
    own = {"grammar": "data.yaml", "documents": 6, "dialogues": 4, **texts}
    if context is not None:
        own["context"] = {"grammar": "openings.yaml", "new_tokens": 6, **context}
    return load_recipe(write_recipe(folder, "tiny", texts=own))


def test_each_kind_of_text_stands_behind_a_sample_of_its_kind(tmp_path: Path, base: LoadedModel) -> None:
    recipe = recipe_with(tmp_path, {"share": 1.0}, system_prompts=["Be brief."])
    own = own_texts(recipe)
    placed = in_context(recipe, own, base)
    assert [text.content for text in placed] == [text.content for text in own]
    documents, dialogues = placed[:6], placed[6:]
    assert all(text.context.startswith("The ") and text.context.endswith(("\n\n", " ")) for text in documents)
    assert len({text.context for text in documents}) == 6
    for text, before in zip(dialogues, own[6:], strict=True):
        assert [turn.role for turn in text.chat] == ["system", "user", "assistant", "user"]
        assert (text.chat[0], text.chat[-1]) == (Message("system", "Be brief."), before.chat[-1])
        assert text.chat[1].content.startswith("What of the ")
        assert text.earlier


def test_a_share_is_a_fixed_draw_of_both_kinds(tmp_path: Path, base: LoadedModel) -> None:
    recipe = recipe_with(tmp_path, {"share": 0.5})
    own = own_texts(recipe)
    placed = in_context(recipe, own, base)
    assert [bool(text.context) for text in placed].count(True) == 3
    assert [text.earlier for text in placed].count(True) == 2
    assert in_context(recipe, own, base) == placed
    assert in_context(recipe_with(tmp_path, None), own, base) == own


def test_context_and_text_are_learned_and_the_turn_between_them_is_read(tmp_path: Path, base: LoadedModel) -> None:
    recipe = recipe_with(tmp_path, {"share": 1.0})
    placed = in_context(recipe, own_texts(recipe), base)
    tokenizer = base.tokenizer
    for text, example in zip(placed, examples_of(placed, tokenizer, 256), strict=True):
        ids = list(example.token_ids)
        if text.context:
            assert example.learn_from == 1
            assert tokenizer.decode(ids[: example.pause[0]]) == text.context
            assert example.pause[0] == example.pause[1]
        else:
            answer, question = text.chat[-2].content, text.chat[-1].content
            learned = tokenizer.decode(ids[example.learn_from : example.pause[0]])
            assert learned == f"{answer}<|im_end|>"
            assert question in tokenizer.decode(ids[slice(*example.pause)])
            assert tokenizer.decode(ids[example.pause[1] :]).startswith(text.content)


def test_the_digest_of_the_data_knows_the_contexts(tmp_path: Path) -> None:
    plain, half, whole = (
        recipe_with(tmp_path / str(n), context) for n, context in enumerate([None, {"share": 0.5}, {}])
    )
    assert context_identity(plain, own_texts(plain)) == []
    assert len({digests_of(recipe).data for recipe in (plain, half, whole)}) == 3
