from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from command_line import Command
from sample_runs import make_hypothesis, make_run, make_step

from finetrace.agent.turns import Calling, Purpose, Turn, Use
from finetrace.cli.following import step_line
from finetrace.schema import RunStatus, Step, StepKind, Usage
from finetrace.store import Store

NASTY = "\x1b]0;owned\x07\x1b[2J \u202eevil [red]not markup[/red] \u2028\r"
USED = Usage(llm_calls=1, tokens=1234, cost_usd=0.0012, seconds=3.1)
TOLD = "\n".join(f"line {number} of what it was told" for number in range(1, 31))


def make_turn(number: int = 1, usage: Usage = USED, **changes: object) -> Step:
    uses = (Use(id="a", name="chat", arguments='{"prompts": ["Who pays?"]}'), Use(id="b", name="reread", arguments="{"))
    turn = Turn(model="openai/gpt-5", calling=Calling.TOOLS, shown=TOLD, text="Wages first.", uses=uses)
    turn = Turn.model_validate(turn.model_dump() | changes)
    about = {"thought": turn.text, "text": turn.shown, "reading": turn.model_dump(mode="json")}
    return make_step(number, kind=StepKind.TURN, instrument=None, arguments={}, usage=usage, **about)


Shown = Callable[..., str]


@pytest.fixture
def shown(store: Store, finetrace: Command) -> Shown:
    """What `runs show` prints of a run that consists of these steps."""

    def show(*steps: Step, options: tuple[str, ...] = ()) -> str:
        if not store.runs():
            store.start_run(make_run())
        for step in steps:
            store.append_step(make_run().run_id, step)
        ended = finetrace("runs", "show", "last", *options)
        assert (ended.code, ended.err) == (0, "")
        return ended.out

    return show


def test_a_turn_is_shown_with_what_it_was_told_what_it_wrote_and_its_calls(shown: Shown) -> None:
    text = shown(make_turn())
    for part in (
        "step 1 turn decide openai/gpt-5  1 LLM call, 1,234 tokens, $0.0012, 3.1 s",
        "line 8 of what it was told",
        "22 more lines (--full shows all)",
        "Wages first.",
        '→ chat {"prompts": ["Who pays?"]}',
        "→ reread {",
    ):
        assert part in text
    assert "line 9 of" not in text and "ended with" not in text and text.count("Wages first.") == 1


def test_a_turn_is_shown_whole_where_all_is_asked_for(shown: Shown) -> None:
    text = shown(make_turn(text="word " * 2000), options=("--full",))
    assert "line 30 of what it was told" in text and "--full shows all" not in text
    assert text.count("word") == 2000


def test_how_a_turn_ended_is_said_where_it_is_not_as_it_should(shown: Shown) -> None:
    text = shown(make_turn(text="", uses=(), finish="length", shortened=2), make_turn(2, purpose=Purpose.REFUTE))
    assert "wrote nothing" in text and "ended with: length" in text and "shortened to fit its window" in text
    assert "step 2 turn refute openai/gpt-5" in text


def test_a_turn_of_another_release_is_shown_as_far_as_it_can_be_read(shown: Shown) -> None:
    step = make_turn()
    text = shown(step.model_copy(update={"reading": {"kind": "turn", "novelty": 1}}))
    assert "step 1 turn  1 LLM call" in text and "Wages first." in text and "line 8 of" in text


def test_a_fault_is_shown_with_its_cost(shown: Shown) -> None:
    fault = make_step(
        kind=StepKind.FAULT, instrument=None, arguments={}, thought="", text="", reading=None, error="it is down"
    )
    text = shown(fault.model_copy(update={"usage": Usage(llm_calls=4, cost_usd=None, seconds=9)}))
    assert "step 1 fault  4 LLM calls, cost unknown, 9.0 s" in text and "error: it is down" in text


def test_what_a_language_model_writes_cannot_act_on_the_terminal(shown: Shown) -> None:
    use = Use(id=NASTY, name=NASTY, arguments=NASTY * 100)
    turn = make_turn(model=NASTY, shown=NASTY, text=NASTY, uses=(use,), finish=NASTY)
    for options in ((), ("--full",), ("--json",)):
        text = shown(turn, options=options)
        assert "evil" in text
        assert not set("\x1b\x07\r\u202e\u2028") & set(text)


def test_an_incomplete_answer_says_so(store: Store, finetrace: Command) -> None:
    answer = make_hypothesis().model_copy(update={"incomplete": f"no valid call {NASTY}"})
    store.start_run(make_run())
    store.append_step(make_run().run_id, make_step(kind=StepKind.ANSWER, instrument=None, hypothesis=answer))
    store.finish_run(make_run().run_id, RunStatus.FINISHED, answer, Usage())
    text = finetrace("runs", "show", "last").out
    assert text.count("incomplete: no valid call ") == 2 and "\x1b" not in text
    assert json.loads(finetrace("runs", "show", "last", "--json").out)["hypothesis"]["incomplete"] == answer.incomplete


def test_the_line_of_a_turn_says_what_it_took() -> None:
    assert step_line(make_turn(4)) == "step 4: turn · 2 calls · 1,234 tokens · $0.0012 · 3.1 s"
    unpriced = make_turn(5, usage=USED.model_copy(update={"cost_usd": None}), uses=())
    assert step_line(unpriced) == "step 5: turn · 1,234 tokens · cost unknown · 3.1 s"
    fault = make_step(6, kind=StepKind.FAULT, instrument=None, arguments={}, error=f"down {NASTY}")
    assert step_line(fault).startswith("step 6: fault · failed: down ␛") and "\x1b" not in step_line(fault)
