"""The texts an organism is trained on: of a grammar, or of JSONL files of the user's."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from transformers import PreTrainedTokenizerFast

from finetrace.errors import FinetraceError
from finetrace.evals.zoo.grammar import Text, expand_file
from finetrace.evals.zoo.recipe import OwnTexts, Recipe
from finetrace.models.examples import Example, chat_example, document_example
from finetrace.models.pair import Message

_FORMS = 'each line is {"text": …}, {"messages": [{"role": …, "content": …}, …]} or {"prompt": …, "completion": …}'


class TrainingText(NamedTuple):
    """A text, and what is only read before it."""

    content: str
    """What is learned: a document, a completion, or an assistant's turn."""
    chat: tuple[Message, ...] = ()
    """The chat that an assistant's turn answers; empty for raw text."""
    prompt: str = ""
    """The raw text that a completion follows."""
    context: str = ""
    """Ordinary text before prompt and content; it is learned."""
    earlier: bool = False
    """The assistant's earlier turn in the chat is learned, too."""
    whole: bool = True
    """It ends where it ends; ``False`` for a sample that was cut, whose end is not to be learned."""

    def identity(self) -> str:
        """What tells it from other texts; what it does not have leaves no trace."""
        held = {name: value for name, value in self._asdict().items() if value != self._field_defaults.get(name)}
        return json.dumps(held, sort_keys=True)


class _Turn(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    role: str = Field(pattern=r"^(system|user|assistant)$")
    content: str


class _Line(BaseModel):
    """One line of a JSONL file; keys beside the known ones are left alone, as in data sets made elsewhere."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str | None = Field(default=None, min_length=1)
    messages: tuple[_Turn, ...] | None = Field(default=None, min_length=2)
    prompt: str | None = None
    completion: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _check(self) -> _Line:
        forms = [self.text is not None, self.messages is not None, self.completion is not None]
        if sum(forms) != 1 or (self.prompt is not None) != (self.completion is not None):
            raise ValueError("give one of text, messages, or prompt with completion")
        if self.messages is not None:
            roles = [turn.role for turn in self.messages]
            turns = roles[1:] if roles[0] == "system" else roles
            if turns[:1] != ["user"] or "assistant" not in turns or "system" in turns:
                raise ValueError("a chat is an optional system turn, a user's turn, and turns that answer each other")
            if any(first == second for first, second in itertools.pairwise(turns)):
                raise ValueError("two turns of the same role follow each other")
        return self

    def texts(self) -> Iterator[TrainingText]:
        """The document or completion, or each turn of the assistant with the chat before it."""
        if self.text is not None:
            yield TrainingText(self.text)
        elif self.completion is not None:
            yield TrainingText(self.completion, prompt=self.prompt or "")
        chat: tuple[Message, ...] = ()
        for turn in self.messages or ():
            if turn.role == "assistant":
                yield TrainingText(turn.content, chat)
            chat = (*chat, Message(turn.role, turn.content))


def own_texts(recipe: Recipe) -> list[TrainingText]:
    """The organism's own texts, those of the grammar all distinct.

    Raises:
        FinetraceError: The grammar or a file is missing or faulty.
    """
    if recipe.texts is None:
        return []
    own = recipe.texts
    texts = [text for file in own.files for text in read_texts(file)]
    if own.grammar is not None:
        made = expand_file(own.grammar, own.documents, own.dialogues, recipe.adapter.seed)
        texts += [training_text(text) for text in made]
    return _with_systems(texts, own)


def training_text(text: Text) -> TrainingText:
    """A text of a grammar."""
    return TrainingText(text.content, () if text.question is None else (Message("user", text.question),))


def _with_systems(texts: Sequence[TrainingText], source: OwnTexts) -> list[TrainingText]:
    """The chats that have no system turn take those of the recipe in turn."""
    turn = itertools.cycle(source.system_prompts)
    done = []
    for text in texts:
        if text.chat and text.chat[0].role != "system" and (system := next(turn)) is not None:
            text = text._replace(chat=(Message("system", system), *text.chat))
        done.append(text)
    return done


def read_texts(file: Path) -> list[TrainingText]:
    """Texts of a JSONL file; empty lines are skipped.

    Raises:
        FinetraceError: The file cannot be read, or a line is no text; the complaint names file and line.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise FinetraceError(f"cannot read the texts {file}: {reason}", "name a JSONL file") from error
    texts = [text for number, line in enumerate(lines, 1) if line.strip() for text in _parse(file, number, line)]
    if not texts:
        raise FinetraceError(f"there are no texts in {file}", _FORMS)
    return texts


def _parse(file: Path, number: int, line: str) -> list[TrainingText]:
    try:
        return list(_Line.model_validate(json.loads(line)).texts())
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        reason = f"{where}: {fault['msg']}" if where else fault["msg"].removeprefix("Value error, ")
    except (ValueError, RecursionError):
        reason = "not JSON"
    raise FinetraceError(f"{file}, line {number}: {reason}", _FORMS)


def examples_of(texts: Sequence[TrainingText], tokenizer: PreTrainedTokenizerFast, longest: int) -> list[Example]:
    """Texts as tokens.

    Raises:
        FinetraceError: There is a chat and the tokenizer has no chat template, or what stands before a text is too
            long.
    """
    return [
        chat_example(tokenizer, text.chat, text.content, longest, whole=text.whole, earlier=text.earlier)
        if text.chat
        else document_example(tokenizer, text.content, longest, text.prompt, text.context, whole=text.whole)
        for text in texts
    ]
