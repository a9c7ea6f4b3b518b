from __future__ import annotations

import math

import pytest
import torch
from small_models import other_tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from finetrace.tools.token_lists import (
    SHOWN,
    Read,
    ShownToken,
    Speller,
    TokenList,
    chance_lift,
    first_texts,
    token_list,
)

VOCABULARY = 3000


class Numbers:
    """A tokenizer whose tokens are their numbers."""

    all_special_ids = (0,)

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [[1] for _ in text]}

    def decode(self, token_ids: list[int], *, clean_up_tokenization_spaces: bool) -> str:
        return "".join(f" {token}" for token in token_ids)


NUMBERS = Speller(Numbers())


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return other_tokenizer()


def random_reads(n: int, seed: int) -> Tensor:
    """Log-probabilities that some tokens get whatever is read."""
    hubs = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(9))
    own = torch.randn(n, VOCABULARY, generator=torch.Generator().manual_seed(seed))
    return torch.log_softmax(own + hubs, dim=-1)


def shown(text: str, special: bool = False) -> ShownToken:
    return ShownToken(text=text, value=0.1, lift=0.0, special=special)


def test_one_in_twenty_of_a_random_vectors_first_tokens_is_special() -> None:
    controls = random_reads(64, seed=1)
    bar = chance_lift(controls)
    lists = [token_list(Read.LENS, row, controls, NUMBERS, bar=bar) for row in random_reads(100, seed=2)]
    found = [token.special for each in lists for token in each.tokens]
    assert len(found) == 100 * SHOWN
    # 2,000 tokens of 100 rows: 5 % give or take three standard errors, with room as tokens of a row go together.
    assert 0.025 <= sum(found) / len(found) <= 0.08
    unmarked = [token_list(Read.LENS, row, controls, NUMBERS) for row in random_reads(100, seed=2)]
    assert sum(token.special for each in unmarked for token in each.tokens) > sum(found)


def test_a_planted_token_is_special_and_a_hub_is_not() -> None:
    controls = random_reads(64, seed=1)
    hub = int(controls.mean(0).argmax())
    values = random_reads(1, seed=3)[0]
    values[1234] = controls[:, 1234].max() + 9
    values[hub] = controls[:, hub].max() - 0.01
    found = token_list(Read.LENS, values, controls, NUMBERS, bar=chance_lift(controls))
    assert found.tokens[0].text == " 1234" and found.tokens[0].special
    assert found.tokens[0].lift == pytest.approx(9, abs=1e-3)
    assert found.tokens[0].value == pytest.approx(math.exp(values[1234]), rel=1e-3)
    assert [token.special for token in found.tokens if token.text == f" {hub}"] == [False]
    assert found.line().startswith("1234*, ") and found.plain().startswith("1234, ")


def test_changes_are_shown_as_they_are() -> None:
    values, controls = torch.tensor([0.0, 0.0, 2.5, -1.0]), torch.zeros(3, 4)
    found = token_list(Read.ADDED, values, controls, NUMBERS, probabilities=False)
    assert [(token.text, token.value, token.lift) for token in found.tokens] == [
        (" 2", 2.5, 2.5),
        (" 1", 0.0, 0.0),
        (" 3", -1.0, -1.0),
    ]


def test_a_vocabulary_smaller_than_a_list_and_few_controls_are_enough() -> None:
    controls = torch.log_softmax(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    bar = chance_lift(controls)
    assert math.isfinite(bar) and bar > 0
    assert len(token_list(Read.LENS, controls[0], controls[1:], NUMBERS, bar=bar).tokens) == 4  # one is no text


def test_of_a_single_control_nothing_is_special() -> None:
    control = torch.zeros(1, 5)
    assert chance_lift(control) == math.inf
    found = token_list(Read.LENS, torch.full((5,), 9.0).log(), control, NUMBERS, bar=chance_lift(control))
    assert found.tokens and not any(token.special for token in found.tokens)
    assert TokenList.model_validate_json(found.model_dump_json()) == found


def test_what_is_no_number_or_impossible_is_left_out() -> None:
    values = torch.tensor([math.nan, -math.inf, -1.0, math.nan, -2.0])
    controls = torch.tensor([[math.nan, 0.0, -math.inf, 0.0, math.nan]] * 2)
    found = token_list(Read.PATCHSCOPE, values, controls, NUMBERS, bar=chance_lift(controls))
    assert [token.text for token in found.tokens] == [" 2", " 4"]
    assert TokenList.model_validate_json(found.model_dump_json()) == found
    assert first_texts(values, NUMBERS) == [" 2", " 4"]
    assert first_texts(torch.full((5,), math.nan), NUMBERS) == []


def test_tokens_are_spelt_as_within_a_sentence(tokenizer: PreTrainedTokenizerFast) -> None:
    speller = Speller(tokenizer)
    (word,), (piece,) = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (" height", "h"))
    assert speller.text(word) == " height" and speller.text(piece) == "h"
    assert speller.text(tokenizer.bos_token_id) is None
    assert speller.text(5_000) is None  # the output layer may have more rows than there are tokens
    assert speller.text(2**40) is None
    newline, part = tokenizer("\n", add_special_tokens=False)["input_ids"], tokenizer("東")["input_ids"]
    assert speller.text(newline[0]) is None and speller.text(part[0]) is None


def test_a_tokenizer_that_drops_leading_blanks_is_asked_within_a_text() -> None:
    class Dropping(Numbers):
        def decode(self, token_ids: list[int], *, clean_up_tokenization_spaces: bool) -> str:
            return super().decode(token_ids, clean_up_tokenization_spaces=False).lstrip()

    assert Speller(Dropping()).text(42) == " 42"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (" tide", "tide"),
        ("ing", "…ing"),
        (" a\nb", "a\\nb"),
        ("\n1. forged\r", "1. forged"),
        ("\x1b[31mred", "…\\x1b[31mred"),
        (" \u202eevil", "\\u202eevil"),
        (" \u2028x\ud800", "x\\ud800"),
        (" " + "w" * 500, "w" * 40 + "…"),
        (" tide*", "tide\\*"),
        ("**", "…\\*\\*"),
        (" a\\", "a\\\\"),
    ],
)
def test_a_token_forms_no_line_and_does_nothing_to_a_terminal(text: str, written: str) -> None:
    assert shown(text).shown == written
    assert TokenList(read=Read.LENS, tokens=(shown(text), shown(" b", special=True))).line() == f"{written}, b*"
