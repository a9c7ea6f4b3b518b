"""From prompts to token ids, and where a completion lies in another tokenizer's reading of it."""

from __future__ import annotations

from transformers import PreTrainedTokenizerFast

from finetrace.models.engine import ScoringRow
from finetrace.models.pair import Prompt


def prompt_string(tokenizer: PreTrainedTokenizerFast, prompt: Prompt) -> str:
    """The prompt as one text, chat template applied; special tokens at the front are not written out."""
    if prompt.messages is None or not tokenizer.chat_template:
        return prompt.text
    messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
    text: str = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return text + prompt.text


def prompt_ids(tokenizer: PreTrainedTokenizerFast, prompt: Prompt, *, keep_ids: bool = True) -> list[int]:
    """The prompt as token ids; never empty.

    Args:
        tokenizer: Of the model that reads the prompt.
        prompt: The prompt.
        keep_ids: ``prompt.text_ids`` are this tokenizer's.
    """
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
    prompt = front_ids(tokenizer, needed=first == 0) + list(ids[:first])
    return ScoringRow(tuple(prompt), tuple(ids[first:]))
