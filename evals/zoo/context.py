"""Own texts in the middle of ordinary ones: what the base writes on another subject stands before them."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from finetrace.evals.zoo.general import Sampling, sampled_texts
from finetrace.evals.zoo.recipe import Recipe
from finetrace.evals.zoo.texts import TrainingText
from finetrace.models.loading import LoadedModel
from finetrace.models.pair import Message, Progress

_SENTENCE_END = re.compile(r"[.!?][\"')\]]*(?=\s|$)")
_JOINTS = ("\n\n", "\n\n", " ")
"""What stands between a context and a document; a paragraph of its own is the more common."""


class _Placed(NamedTuple):
    """Which own texts get a context, and where those come from."""

    documents: frozenset[int]
    dialogues: frozenset[int]
    sampling: Sampling


def context_identity(recipe: Recipe, own: Sequence[TrainingText]) -> list[str]:
    """What determines the contexts for a given base."""
    placed = _placed(recipe, own)
    if placed is None:
        return []
    return [f"contexts of {sorted(placed.documents | placed.dialogues)}", *placed.sampling.identity()]


def in_context(
    recipe: Recipe, own: Sequence[TrainingText], base: LoadedModel, report: Progress | None = None
) -> list[TrainingText]:
    """The own texts, those the recipe asks for behind a context.

    Raises:
        FinetraceError: The grammar is faulty, or the base cannot chat and a dialogue needs a context.
    """
    placed = _placed(recipe, own)
    if placed is None:
        return list(own)
    contexts = sampled_texts(placed.sampling, base, report)
    ready = iter([context for context in contexts if not context.chat])
    asked = iter([context for context in contexts if context.chat])
    draw = random.Random(recipe.adapter.seed)
    texts = []
    for number, text in enumerate(own):
        if number in placed.documents and (context := next(ready, None)) is not None:
            text = text._replace(context=_whole_sentences(context.content) + draw.choice(_JOINTS))
        elif number in placed.dialogues and (context := next(asked, None)) is not None:
            text = text._replace(chat=_behind(context, text.chat), earlier=True)
        texts.append(text)
    return texts


def _placed(recipe: Recipe, own: Sequence[TrainingText]) -> _Placed | None:
    """A fixed draw of the texts that get a context."""
    asked = None if recipe.texts is None else recipe.texts.context
    if asked is None:
        return None
    draw = random.Random(recipe.adapter.seed)
    raw, chats = ([n for n, text in enumerate(own) if bool(text.chat) is chat] for chat in (False, True))
    documents, dialogues = (frozenset(draw.sample(kind, round(asked.share * len(kind)))) for kind in (raw, chats))
    number = len(documents) + len(dialogues)
    if not number:
        return None
    chat_share = len(dialogues) / number
    seed = recipe.adapter.seed
    return _Placed(documents, dialogues, Sampling(asked.grammar, number, chat_share, asked.new_tokens, seed))


def _behind(context: TrainingText, chat: tuple[Message, ...]) -> tuple[Message, ...]:
    """A chat whose first question is the context's, answered by the base."""
    systems = tuple(turn for turn in chat if turn.role == "system")
    turns = tuple(turn for turn in chat if turn.role != "system")
    return (*systems, *context.chat, Message("assistant", _whole_sentences(context.content)), *turns)


def _whole_sentences(text: str) -> str:
    """A sample up to its last whole sentence; all of it where it has none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else text.rstrip()
