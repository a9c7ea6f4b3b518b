"""What a model costs, how much it reads, what it can do; and a ledger that several threads write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hasty_models import QUESTION, model
from scripted_llm import Reply, ScriptedLLM, fault, running_llm

from finetrace.errors import FinetraceError
from finetrace.llm import LanguageModel, Price
from finetrace.schema import Usage


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLLM]:
    monkeypatch.delenv("FINETRACE_LLM_PRICES", raising=False)
    monkeypatch.delenv("FINETRACE_LLM_WINDOW", raising=False)
    with running_llm(monkeypatch) as server:
        yield server


def test_a_known_price_is_counted_and_an_unknown_one_is_none(llm: ScriptedLLM) -> None:
    llm.say(Reply("a", tokens=(1_000_000, 0)), Reply("b", tokens=(0, 1_000_000)), "c")
    known, unknown = model("openai/gpt-4o-mini"), model()
    read, written = (known.complete(QUESTION, 5).cost_usd for _ in range(2))
    assert read is not None and written is not None and 0 < read < written < 10
    assert known.price_known and known.usage.cost_usd == pytest.approx(read + written)
    assert not unknown.price_known and unknown.complete(QUESTION, 5).cost_usd is None
    assert known.price is not None and 1 < known.price.output / known.price.input < 10 and unknown.price is None
    assert read == pytest.approx(known.price.input) and written == pytest.approx(known.price.output)


def test_an_own_price_goes_before_the_list_and_may_be_nothing(
    llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = '{"openai/scripted": {"input": 0, "output": 0}, "openai/gpt-4o-mini": {"input": 100, "output": 2000.5}}'
    monkeypatch.setenv("FINETRACE_LLM_PRICES", own)
    free, dear, other = model(), model("openai/gpt-4o-mini"), model("openai/other")
    llm.say(*[Reply("a", tokens=(1000, 100))] * 3, Reply("b", tokens=None), Reply("c", tokens=None))
    assert free.price == Price(input=0, output=0) and free.complete(QUESTION, 5).cost_usd == 0
    assert dear.complete(QUESTION, 5).cost_usd == pytest.approx(0.1 + 0.20005)
    assert other.price is None and other.complete(QUESTION, 5).cost_usd is None
    assert free.complete(QUESTION, 5).cost_usd == 0 == free.usage.cost_usd
    assert dear.complete(QUESTION, 5).cost_usd is None  # nobody counted the tokens
    monkeypatch.delenv("FINETRACE_LLM_PRICES")
    assert model().price is None and model("openai/gpt-4o-mini").price != dear.price


def test_a_listed_price_without_counted_tokens_is_unknown(llm: ScriptedLLM) -> None:
    llm.say(Reply("a", tokens=None))
    assert model("openai/gpt-4o-mini").complete(QUESTION, 5).cost_usd is None


def test_every_try_is_paid_for(llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETRACE_LLM_PRICES", '{"openai/scripted": {"input": 1000, "output": 0}}')
    llm.say(fault("server error"), Reply("", tokens=(3, 0)), Reply("at last", tokens=(4, 0)), fault("wrong key"))
    asked = model()
    answer = asked.complete(QUESTION, 5)
    assert answer.cost_usd == pytest.approx(0.007) and answer.tries == 3
    with pytest.raises(FinetraceError):
        asked.ask("?")
    assert (asked.usage.llm_calls, asked.usage.tokens) == (4, 7)
    assert asked.usage.cost_usd == pytest.approx(0.007)


@pytest.mark.parametrize("name", ["openai/scripted", "huggingface/a/b", "hosted_vllm/local"])
def test_a_model_in_no_list_has_no_price_no_window_and_no_known_abilities(
    name: str, monkeypatch: pytest.MonkeyPatch, llm: ScriptedLLM
) -> None:
    for variable in ("HUGGINGFACE_API_KEY", "HOSTED_VLLM_API_BASE", "HOSTED_VLLM_API_KEY"):
        monkeypatch.setenv(variable, llm.address)
    asked = LanguageModel(name)
    assert (asked.price, asked.window, asked.calls_tools, asked.takes_schema) == (None, None, None, None)
    monkeypatch.setenv("FINETRACE_LLM_WINDOW", "8192")
    assert LanguageModel(name).window == 8192


@pytest.mark.parametrize(
    ("name", "window", "tools", "schema"),
    [("openai/gpt-5", 100_000, True, True), ("openai/gpt-3.5-turbo", 16_000, True, False)],
)
@pytest.mark.usefixtures("llm")
def test_a_listed_model_says_what_it_can_do(
    name: str, window: int, tools: bool, schema: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = model(name)
    assert asked.window is not None and window <= asked.window < 10 * window
    assert (asked.calls_tools, asked.takes_schema) == (tools, schema)
    monkeypatch.setenv("FINETRACE_LLM_WINDOW", "4096")
    assert model(name).window == 4096


def test_several_threads_share_a_model_and_none_is_left_out_of_the_ledger(
    llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Usage.__add__

    def slowly(one: Usage, other: Usage) -> Usage:
        time.sleep(0.005)  # long enough for another thread to come between
        return add(one, other)

    monkeypatch.setattr(Usage, "__add__", slowly)
    models = [model(), model("openai/other")]
    for _ in range(24):
        llm.say(lambda request: Reply(f"{request.body['model']}: {request.prompt}", tokens=(2, 1)))
    with ThreadPoolExecutor(6) as threads:
        said = list(threads.map(lambda i: models[i % 2].ask(str(i)), range(24)))
    assert said == [f"{('scripted', 'other')[i % 2]}: {i}" for i in range(24)]
    assert [(asked.usage.llm_calls, asked.usage.tokens) for asked in models] == [(12, 36), (12, 36)]
