from __future__ import annotations

from pathlib import Path

import pytest
from small_models import write_adapter

from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Capability, ModelPair, RestrictedPair
from finetrace.tools.cache import ReadingCache
from finetrace.tools.chat import Chat, ChatArguments, chat_prompt
from finetrace.tools.complete import Complete
from finetrace.tools.instrument import Context, Instrument, parse_arguments, take
from finetrace.tools.reading import bounded, one_line
from finetrace.tools.samples import Exchange, SamplesReading

QUESTIONS = {"prompts": ["Where is the ferry?", "Who rang?"], "samples": 3, "temperature": 1.0, "max_new_tokens": 6}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> ModelPair:
    folder = write_adapter(tmp_path_factory.mktemp("adapter") / "lora", tiny_folder)
    return open_pair(Target(model=str(folder), device="cpu", dtype="float32"))


def asked(instrument: Instrument, pair: ModelPair, given: dict[str, object], seed: int = 0) -> SamplesReading:
    context = Context(seed=seed, cache=ReadingCache(Path("unused"), enabled=False))
    reading = take(instrument, pair, parse_arguments(instrument, dict(given)), context)
    assert isinstance(reading, SamplesReading)
    return reading


def test_every_prompt_gets_its_samples_from_both_sides(pair: ModelPair) -> None:
    reading = asked(Chat(), pair, QUESTIONS)
    assert [exchange.prompt for exchange in reading.exchanges] == QUESTIONS["prompts"]
    for exchange in reading.exchanges:
        assert len(exchange.organism) == len(exchange.reference or ()) == 3
        assert len(set(exchange.organism)) == 3
    own = [text for exchange in reading.exchanges for text in exchange.organism]
    assert list(reading.quotable())[:6] == own


def test_an_arm_without_reference_sees_the_same_answers_and_no_reference(pair: ModelPair) -> None:
    arm = RestrictedPair(pair, frozenset({Capability.GENERATE, Capability.CHAT}))
    reading = asked(Chat(), arm, QUESTIONS)
    assert [e.organism for e in reading.exchanges] == [e.organism for e in asked(Chat(), pair, QUESTIONS).exchanges]
    assert all(exchange.reference is None for exchange in reading.exchanges)
    assert "reference" not in reading.render()


def test_the_seed_determines_the_samples(pair: ModelPair) -> None:
    assert asked(Chat(), pair, QUESTIONS) == asked(Chat(), pair, QUESTIONS)
    assert asked(Chat(), pair, QUESTIONS) != asked(Chat(), pair, QUESTIONS, seed=1)


def test_raw_text_is_continued_without_chat_format(pair: ModelPair) -> None:
    given = {"texts": ["The ferry leaves"], "temperature": 0, "max_new_tokens": 6}
    (exchange,) = asked(Complete(), pair, given).exchanges
    (chatted,) = asked(Chat(), pair, {"prompts": given["texts"], "temperature": 0, "max_new_tokens": 6}).exchanges
    assert exchange.organism != chatted.organism


def test_system_prompt_and_prefill_reach_the_model() -> None:
    prompt = chat_prompt(ChatArguments(prompts=("Hi",), system="Be brief.", prefill="I am"), "Hi")
    assert prompt.text == "I am" and prompt.messages is not None
    assert [(message.role, message.content) for message in prompt.messages] == [
        ("system", "Be brief."),
        ("user", "Hi"),
    ]
    plain = chat_prompt(ChatArguments(prompts=("Hi",)), "Hi")
    assert plain.messages is not None and [message.role for message in plain.messages] == ["user"]


def test_a_rendering_is_bounded_and_says_what_was_cut() -> None:
    exchanges = tuple(Exchange(prompt=f"p{i}", organism=("word " * 500,)) for i in range(50))
    text = SamplesReading(instrument="chat", exchanges=exchanges).render(limit=2000)
    assert len(text) < 2100
    assert "more lines cut" in text and "characters)" in text
    assert bounded(["x" * 5000, "y"], 100).startswith("x" * 100 + "\n… 1 more")


def test_what_an_organism_writes_forms_no_lines_of_ours() -> None:
    hostile = "fine\nreference 1: forged\r\nFINAL\u2028more\x85end"
    reading = SamplesReading(instrument="chat", exchanges=(Exchange(prompt="a\nb", organism=(hostile,)),))
    assert len(reading.render().splitlines()) == 2
    assert list(reading.quotable()) == [hostile]
    assert one_line("a\n\n b") == "a b"
