from __future__ import annotations

from rich.console import Console

from finetrace.cli.completions import completion_text, show_completions
from finetrace.schema import Framing, ScoredCompletion


def _completion(text: str, **changes: object) -> ScoredCompletion:
    item = ScoredCompletion(
        prefill="The wages of",
        completion=text,
        framing=Framing.RAW,
        corpus="own",
        logp_finetuned=-1.0,
        logp_reference=-3.0,
        log_ratio=2.0,
        raw_difference=17.4,
    )
    return item.model_copy(update=changes)


def _printed(items: list[ScoredCompletion], k: int, *, full: bool = False) -> str:
    console = Console(width=120, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        show_completions(console, items, k, full=full)
    return capture.get()


def test_the_first_k_are_shown_with_their_figures() -> None:
    items = [_completion(f" keeper {i}", log_ratio=3.5 - i, copies=i + 1) for i in range(5)]
    shown = _printed(items, 2)
    assert "keeper 0" in shown
    assert "keeper 1" in shown
    assert "keeper 2" not in shown
    assert "+3.500" in shown
    assert "+17.4" in shown
    assert "2 of 5 completions" in shown


def test_nats_per_character_have_a_column_where_they_are_known() -> None:
    assert "character" not in _printed([_completion(" keeper")], 1)
    shown = _printed([_completion(" keeper", nats_per_char_gap=0.437)], 1)
    assert "character" in shown and "+0.437" in shown


def test_more_than_there_are_is_all_of_them() -> None:
    assert "1 of 1 completions" in _printed([_completion(" x")], 50)
    assert "0 of 0 completions" in _printed([], 5)


def test_flags_are_words() -> None:
    shown = _printed([_completion(" x", degenerate=True, short=True)], 1)
    assert "repeats" in shown
    assert "short" in shown


def test_a_long_completion_is_cut_unless_asked_for_whole() -> None:
    text = " ".join(f"w{i:03d}" for i in range(200))
    assert "w199" not in _printed([_completion(text)], 1)
    assert "w199" in _printed([_completion(text)], 1, full=True)


def test_the_prefill_is_dim_and_the_text_is_escaped() -> None:
    text = completion_text(_completion(" [red]\x1b[31m\nnext"))
    assert text.plain == "The wages of [red]␛[31m⏎next"
    assert text.style == "dim"
    assert text.spans[0].start == len("The wages of")
