"""From prompts to token ids, and where a completion lies in another tokenizer's reading of it."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerFast

from finetrace.errors import ToolError
from finetrace.models.engine import ScoringRow
from finetrace.models.pair import Message, Prompt


def prompt_string(tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> str:
    """The prompt as one text.

    A chat is written by the chat template, special tokens included. A model without one reads it as a transcript:
    so a base model of another family can stand beside an organism that chats.

    Raises:
        ToolError: The chat template refuses this chat.
    """
    if prompt.messages is None:
        return prompt.text
    if not tokenizer.chat_template:
        turns = [f"{message.role.capitalize()}: {message.content}\n\n" for message in prompt.messages]
        return "".join(turns) + f"Assistant: {prompt.text}"
    return _templated(tokenizer, prompt.messages) + prompt.text


def _templated(tokenizer: PreTrainedTokenizerFast, messages: Sequence[Message]) -> str:
    turns = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    except TemplateError as error:
        first, *rest = messages
        if first.role == "system" and rest:
            # Some templates know no system turn: what it says then opens the first turn.
            merged = Message(rest[0].role, f"{first.content}\n\n{rest[0].content}")
            return _templated(tokenizer, (merged, *rest[1:]))
        reason = " ".join(str(error).split())[:200]
        raise ToolError(f"the chat template refuses this chat: {reason}", "leave turns out") from error
    return text


def prompt_ids(tokenizer: PreTrainedTokenizerFast, prompt: Prompt, *, keep_ids: bool = True) -> list[int]:
    """The prompt as token ids; never empty.

    Args:
        tokenizer: Of the model that reads the prompt.
        prompt: The prompt.
        keep_ids: ``prompt.text_ids`` are this tokenizer's.
    """
    if prompt.messages is not None and not tokenizer.chat_template:
        prompt = Prompt(prompt_string(tokenizer, prompt))
    if keep_ids and prompt.text_ids is not None:
        tail = list(prompt.text_ids)
    else:
        tail = tokenizer(prompt.text, add_special_tokens=False)["input_ids"] if prompt.text else []
    if prompt.messages is None:
        return front_ids(tokenizer, needed=not tail) + tail
    head = prompt_string(tokenizer, Prompt(messages=prompt.messages))
    return list(tokenizer(head, add_special_tokens=False)["input_ids"]) + tail


def front_ids(tokenizer: PreTrainedTokenizerFast, *, needed: bool = False) -> list[int]:
    """Special tokens this tokenizer puts before any text; where ``needed``, some token a text can begin after."""
    encoded = tokenizer("a")["input_ids"]
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    start = next((i for i in range(len(encoded)) if encoded[i : i + len(plain)] == plain), 0)
    front = list(encoded[:start])
    if front or not needed:
        return front
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return [token]
    return [0]


def completion_span(tokenizer: PreTrainedTokenizerFast, before: str, completion: str) -> ScoringRow:
    """Tokens of ``completion`` after ``before`` in a tokenizer that did not write it.

    The whole text is tokenised at once; a token that straddles the border counts to the completion.
    """
    encoded = tokenizer(before + completion, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    first = next((i for i, (_, end) in enumerate(offsets) if end > len(before)), len(ids))
    head = list(ids[:first])
    front = front_ids(tokenizer, needed=not head)
    if head[: len(front)] != front or not head:  # a chat template writes the front itself
        head = front + head
    return ScoringRow(tuple(head), tuple(ids[first:]))
