from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import other_tokenizer
from transformers import PreTrainedTokenizerFast

from finetrace.errors import ToolError
from finetrace.models.pair import Message, Prompt
from finetrace.models.tokens import completion_span, front_ids, prompt_ids, prompt_string

CHAT = (Message("system", "Be brief."), Message("user", "Where is the ferry?"))
OTHER = other_tokenizer()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def with_front() -> PreTrainedTokenizerFast:
    """A tokenizer that puts ``<s>`` before every text, and writes it in its chat template, too."""
    from tokenizers.processors import TemplateProcessing

    made = other_tokenizer()
    made.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", made.bos_token_id)]
    )
    made.chat_template = "<s>{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}[assistant] "
    return made


FRONT = with_front()


def test_ids_cut_from_a_longer_text_are_kept(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = Prompt("ab", text_ids=(65, 66))
    assert prompt_ids(tokenizer, prompt) == [65, 66]
    assert prompt_ids(tokenizer, prompt, keep_ids=False) == tokenizer("ab")["input_ids"]


def test_a_chat_is_written_by_the_template_and_its_answer_begun(tokenizer: PreTrainedTokenizerFast) -> None:
    prompt = Prompt("It is", CHAT)
    text = prompt_string(tokenizer, prompt)
    assert text.endswith("<|im_start|>assistant\nIt is") and "Be brief." in text
    assert tokenizer.decode(prompt_ids(tokenizer, prompt)) == text


def test_an_empty_prompt_still_gives_a_model_something_to_begin_after(tokenizer: PreTrainedTokenizerFast) -> None:
    assert len(prompt_ids(tokenizer, Prompt())) == 1
    assert prompt_ids(OTHER, Prompt()) == [OTHER.bos_token_id]
    assert prompt_ids(FRONT, Prompt()) == [FRONT.bos_token_id]


def test_a_front_token_comes_once(tokenizer: PreTrainedTokenizerFast) -> None:
    bos = FRONT.bos_token_id
    assert front_ids(tokenizer) == [] and front_ids(FRONT) == [bos]
    assert prompt_ids(FRONT, Prompt("The ferry")).count(bos) == 1
    assert prompt_ids(FRONT, Prompt("It", CHAT)).count(bos) == 1
    for prompt in (Prompt("The ferry"), Prompt("It", CHAT)):
        row = completion_span(FRONT, prompt_string(FRONT, prompt), " leaves")
        assert row.prompt_ids[0] == bos and row.prompt_ids.count(bos) == 1


def test_a_model_without_a_template_reads_a_chat_as_a_transcript() -> None:
    text = prompt_string(OTHER, Prompt("It is", CHAT))
    assert text == "System: Be brief.\n\nUser: Where is the ferry?\n\nAssistant: It is"
    assert OTHER.decode(prompt_ids(OTHER, Prompt("It is", CHAT))) == text
    assert prompt_ids(OTHER, Prompt("", CHAT))


def test_a_template_without_system_turns_gets_its_words_in_the_first_turn() -> None:
    made = other_tokenizer()
    made.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}|{% endfor %}"
    )
    assert prompt_string(made, Prompt("", CHAT)) == "user: Be brief.\n\nWhere is the ferry?|"


def test_a_template_that_refuses_the_chat_is_a_tool_error() -> None:
    made = other_tokenizer()
    made.chat_template = "{{ raise_exception('roles must\nalternate') }}"
    with pytest.raises(ToolError, match="roles must alternate"):
        prompt_string(made, Prompt("", CHAT))


@settings(max_examples=200, deadline=None)
@given(before=TEXT, completion=TEXT)
def test_the_span_covers_the_completion_and_no_token_is_lost(before: str, completion: str) -> None:
    row = completion_span(OTHER, before, completion)
    head = [token for token in row.prompt_ids if token != OTHER.bos_token_id]
    assert row.prompt_ids
    assert OTHER.decode([*head, *row.completion_ids]) == before + completion
    # What lies in the prompt ends before the completion begins; one more token would reach into it.
    assert len(OTHER.decode(head).rstrip("\ufffd")) <= len(before)
    if completion:
        assert row.completion_ids
        assert OTHER.decode(row.completion_ids).endswith(completion) or "\ufffd" in OTHER.decode(row.completion_ids)
    else:
        assert not row.completion_ids


def test_a_token_across_the_border_counts_to_the_completion() -> None:
    whole = OTHER("ferry", add_special_tokens=False)["input_ids"]
    assert len(whole) < 5
    row = completion_span(OTHER, "The fer", "ry")
    assert "ry" in OTHER.decode(row.completion_ids)
    assert "ry" not in OTHER.decode(row.prompt_ids)
