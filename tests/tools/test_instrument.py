from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict
from small_models import write_adapter

from finetrace.errors import ToolError
from finetrace.models.open_pair import Target, open_pair
from finetrace.models.pair import Capability, Completion, Decoding, ModelPair, Prompt, RestrictedPair, Side
from finetrace.registry import load_registry
from finetrace.tools.cache import ReadingCache
from finetrace.tools.chat import Chat
from finetrace.tools.instrument import (
    Context,
    Instrument,
    available,
    code_digest,
    parse_arguments,
    purpose,
    reading_key,
    take,
    uses_grader,
)
from finetrace.tools.perplexity_gap import PerplexityGap
from finetrace.tools.reading import Reading
from finetrace.tools.registry import INSTRUMENTS, find_instrument


class EchoArguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    words: tuple[str, ...] = ("a",)


class EchoReading(Reading):
    words: tuple[str, ...]

    def render(self, limit: int = 6000) -> str:
        return " ".join(self.words)[:limit]

    def quotable(self) -> Iterator[str]:
        yield from self.words


class Echo:
    """Says what it was told."""

    name: ClassVar[str] = "echo"
    arguments: ClassVar[type[BaseModel]] = EchoArguments
    reading: ClassVar[type[Reading]] = EchoReading
    needs: ClassVar[tuple[frozenset[Capability], ...]] = (
        frozenset({Capability.ACTIVATIONS, Capability.ADAPTER}),
        frozenset({Capability.COMPLETIONS}),
    )

    def __init__(self) -> None:
        self.taken = 0
        self.depends_on = "one file"

    def cost(self, arguments: Any) -> int:
        return len(arguments.words)

    def determinants(self, pair: ModelPair, arguments: Any, context: Context) -> dict[str, str]:
        return {"file": self.depends_on}

    def run(self, pair: ModelPair, arguments: Any, context: Context) -> EchoReading:
        self.taken += 1
        return EchoReading(instrument=self.name, words=arguments.words)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> ModelPair:
    folder = write_adapter(tmp_path_factory.mktemp("adapter") / "lora", tiny_folder)
    return open_pair(Target(model=str(folder), device="cpu", dtype="float32"))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(cache=ReadingCache(tmp_path / "cache" / "readings"))


def refusal(instrument: Instrument, given: dict[str, Any]) -> ToolError:
    with pytest.raises(ToolError) as caught:
        parse_arguments(instrument, given)
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


def test_the_same_question_is_asked_once(lora: ModelPair, context: Context) -> None:
    echo = Echo()
    first = take(echo, lora, EchoArguments(), context)
    assert take(echo, lora, EchoArguments(), context) == first
    assert echo.taken == 1
    (file,) = context.cache.folder.rglob("*.json")
    file.write_bytes(file.read_bytes()[:-3])
    assert take(echo, lora, EchoArguments(), context) == first
    assert echo.taken == 2


def test_the_key_knows_all_that_determines_a_reading(
    lora: ModelPair, context: Context, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = Echo()

    def key(pair: ModelPair = lora, seed: int = 0, words: tuple[str, ...] = ("a",)) -> str:
        return reading_key(echo, pair, EchoArguments(words=words), Context(seed=seed, cache=context.cache))

    keys = [key(), key(seed=1), key(words=("b",)), key(words=("a", "b")), key(words=("b", "a"))]
    keys.append(key(RestrictedPair(lora, frozenset({Capability.GENERATE}))))
    keys.append(key(open_pair(Target(model=str(tiny_folder), device="cpu", dtype="float32"))))
    echo.depends_on = "another file"
    keys.append(key())
    echo.depends_on = "one file"
    assert key() == keys[0]
    monkeypatch.setattr("finetrace.tools.instrument.code_digest", lambda instrument: "other code")
    keys.append(key())
    assert len(set(keys)) == len(keys)


class Judged(Echo):
    """Says what it was told, and asks the grader."""

    uses_grader: ClassVar[bool] = True


class Named:
    """A grader by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ask(self, prompt: str) -> str:
        return ""


def test_the_key_knows_the_grader_of_those_that_ask_one(
    lora: ModelPair, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(instrument: Instrument, grader: str | None) -> str:
        around = replace(context, grader=None if grader is None else Named(grader))
        return reading_key(instrument, lora, EchoArguments(), around)

    assert not uses_grader(Echo()) and uses_grader(Judged())
    assert key(Echo(), "a/b") == key(Echo(), None)
    keys = [key(Judged(), grader) for grader in (None, "a/b", "a/c")]
    monkeypatch.setattr("finetrace.tools.instrument.PROMPT_VERSION", "next")
    assert key(Judged(), None) == keys[0]
    assert len({*keys, key(Judged(), "a/b")}) == 4


def test_the_code_digest_knows_the_instrument() -> None:
    assert code_digest(Echo) == code_digest(Echo) != code_digest(Chat)


def test_a_pair_that_cannot_do_it_is_told_what_is_missing(context: Context, tiny_folder: Path) -> None:
    alone = open_pair(Target(model=str(tiny_folder), device="cpu", dtype="float32"))
    echo = Echo()
    assert not available(echo, alone)
    with pytest.raises(ToolError, match="echo needs activations, adapter") as caught:
        take(echo, alone, EchoArguments(), context)
    assert "chat, generate" in caught.value.hint
    assert echo.taken == 0
    with pytest.raises(ToolError, match="perplexity_gap needs logprobs, reference"):
        take(PerplexityGap(), alone, parse_arguments(PerplexityGap(), {}), context)


@pytest.mark.parametrize(("name", "key"), [("chat", "prompts"), ("complete", "texts"), ("perplexity_gap", "corpora")])
def test_a_bare_text_where_a_list_belongs_is_refused(name: str, key: str) -> None:
    assert f"{key}: input should be a valid tuple" in refusal(find_instrument(name), {key: "hello"}).message


def test_wrong_arguments_are_named_with_those_there_are() -> None:
    error = refusal(Chat(), {"promts": ["a"]})
    assert "promts" in error.message and "did you mean prompts" in error.hint
    error = refusal(Chat(), {"prompts": ["a"], "samples": 0, "temperature": "hot"})
    assert "samples" in error.message and "temperature" in error.message
    assert "max_new_tokens" in error.hint
    refusal(Chat(), {})
    refusal(Chat(), {"prompts": []})
    refusal(Chat(), {"prompts": ["\ud800"]})
    refusal(Chat(), {"prompts": ["a"] * 65})
    refusal(Chat(), {"a\nb" * 1000: 1, "prompts": ["a"]})


@pytest.mark.parametrize(
    ("name", "given", "cost"),
    [
        ("chat", {"prompts": ["a", "b"], "samples": 3}, 6),
        ("complete", {"texts": ["a"], "samples": 4}, 4),
        ("perplexity_gap", {}, 0),
    ],
)
def test_the_cost_is_known_before_anything_is_asked(name: str, given: dict[str, Any], cost: int) -> None:
    instrument = find_instrument(name)
    assert instrument.cost(parse_arguments(instrument, given)) == cost


def test_instruments_are_found_by_name_with_hyphens_too() -> None:
    assert find_instrument("perplexity-gap") is INSTRUMENTS["perplexity_gap"]
    with pytest.raises(ToolError, match="no instrument 'chatt'") as caught:
        find_instrument("chatt")
    assert "chat" in caught.value.hint


@pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=list(INSTRUMENTS))
def test_what_an_investigator_reads_is_complete_and_names_no_organism(instrument: Instrument) -> None:
    fields = instrument.arguments.model_fields.values()
    assert purpose(instrument)
    assert all(field.description for field in fields)
    text = " ".join([type(instrument).__doc__ or "", *(field.description or "" for field in fields)]).lower()
    for organism in load_registry().organisms:
        assert organism.name not in text
        assert organism.name.replace("_", " ") not in text


def test_a_restricted_pair_withholds_what_the_arm_may_not_see(lora: ModelPair) -> None:
    pair = RestrictedPair(lora, frozenset({Capability.GENERATE, Capability.CHAT}))
    prompts, decoding = [Prompt("The ferry")], Decoding(max_new_tokens=4)
    (written,) = pair.generate(Side.ORGANISM, prompts, decoding)
    (full,) = lora.generate(Side.ORGANISM, prompts, decoding)
    assert full.logps and written == full._replace(logps=())
    assert pair.capabilities == {Capability.GENERATE, Capability.CHAT}
    assert not pair.identical and pair.recorded == ()
    with pytest.raises(ToolError, match="reference"):
        pair.generate(Side.REFERENCE, prompts, decoding)
    with pytest.raises(ToolError, match="logprobs"):
        pair.score(Side.REFERENCE, prompts, [Completion("a", (5,), (), False)])


def test_a_restricted_pair_never_offers_more_than_the_pair(tiny_folder: Path) -> None:
    alone = open_pair(Target(model=str(tiny_folder), device="cpu", dtype="float32"))
    assert RestrictedPair(alone, frozenset(Capability)).capabilities == alone.capabilities
    with pytest.raises(ToolError, match="generate"):
        RestrictedPair(alone, frozenset()).generate(Side.ORGANISM, [Prompt("a")], Decoding())


def test_progress_is_reported_by_stage() -> None:
    seen: list[tuple[str, int, int]] = []
    Context(cache=ReadingCache(Path("unused"), enabled=False), progress=lambda *news: seen.append(news)).watch("x")(
        1, 2
    )
    assert seen == [("x", 1, 2)]
