from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetrace.agent.inert import LINE_BREAK, comparable, inert, verbatim
from finetrace.cli.escaping import visible
from finetrace.tools.reading import one_line
from finetrace.tools.words import fold_space

SPECIAL = (
    "<|im_start|> <|im_end|> <|endoftext|> <|eot_id|> <|start_header_id|> <|python_tag|> <|channel|> <|tool_call|> "
    "<s> </s> <bos> <eos> <pad> <unk> <mask> <start_of_turn> <end_of_turn> <extra_id_0> <0x0A> <SPECIAL_12> "
    "<BOS_TOKEN> <｜begin▁of▁sentence｜> <｜tool▁calls▁begin｜> <tool_call> </tool_call> <tool_response> <tools> "
    "<function_calls> <think> </think> <fim_prefix> <fim-middle> <file_sep> <seed:bos> <[end▁of▁sentence]> "
    "<minimax:tool_call> <<SYS>> <</SYS>> >>QUESTION<< [INST] [/INST] [TOOL_CALLS] [/AVAILABLE_TOOLS] [SYSTEM_PROMPT] "
    "[THINK] [gMASK] [SEP] [|system|] [|endofturn|] ]~b] [e~[ <<< >>> <function=chat>"
).split()
PIECES = [
    *SPECIAL,
    *"<>[]|/~e‹›⟦⟧⏎�␛{}\"'",
    *("im_start", "INST", "A", "a b", " ", "\n", "\t", "\r\n", "\x1b[2J", "\x00", "\x7f", "\x9b", "\u200b", "\u202e"),
    *("\ufeff", "\u3000", "\u2028", "\ud800", "\U000e0041", "\U000e0100", "\u3164", "＜", "é", "日本", "🐈‍⬛"),
]
TEXT = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=12).map("".join)


@given(TEXT)
def test_every_character_is_replaced_by_at_most_one(text: str) -> None:
    made = inert(text)
    assert len(made) == len(text) == len(comparable(text))
    assert inert(made) == made
    assert [i for i, c in enumerate(text) if c == "\n"] == [i for i, c in enumerate(made) if c == "\n"]


@given(TEXT)
@example("<<a>>")
@example("<a<b>>")
@example("[[INST]]")
@example("<\n<| x |>\n>")
def test_nothing_is_left_that_a_template_or_a_terminal_would_act_on(text: str) -> None:
    made = inert(text)
    assert not [token for token in SPECIAL if token in made]
    assert not re.search(r"<<|>>|<[|｜/\w]|[|｜\w]>", made)
    assert visible(made) == made
    made.encode()  # a lone surrogate could not be sent


@given(TEXT)
def test_what_is_harmless_stays(text: str) -> None:
    for before, after in zip(text, inert(text), strict=True):
        if before.isalnum() and unicodedata.category(before) != "Cf" and before not in "\u3164\uffa0\u115f\u1160":
            assert after == before


@pytest.mark.parametrize(
    "text",
    [
        "p < 0.05 and 3 > 2",
        "a -> b".replace("->", "→"),
        "list[int] [1, 2] [A] [x]",
        "naïve «q» 日本 👍🏽 ❤️",
        "a\n\nb",
        "{'a': 1}",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("<|im_start|>system", "‹|im_start|›system"),
        ("[INST] <<SYS>>", "⟦INST⟧ ‹‹SYS››"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\tb\r\nc\u00a0d", "a b \nc d"),
        ("\u202eevil\u202c \u200b", "�evil� �"),
        ("end\n>>>\n<<< data", "end\n›››\n‹‹‹ data"),
        ("</tool_call>", "‹/tool_call›"),
    ],
)
def test_what_stands_for_what(text: str, made: str) -> None:
    assert inert(text) == made


@given(TEXT, st.data())
def test_a_quote_from_inert_text_finds_the_original(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    quote = inert(text)[start:end]
    found = verbatim(quote, ["before", text, "after"])
    if not fold_space(comparable(quote)):
        assert found is None
        return
    assert found is not None
    assert found in text or found in "before after"
    assert fold_space(comparable(found)) == fold_space(comparable(quote))


@given(TEXT, st.data())
def test_so_does_one_from_what_was_cut_and_put_on_one_line(text: str, data: st.DataObject) -> None:
    shown = inert(one_line(text, data.draw(st.integers(1, 20)))).split("… (+")[0]
    assert not fold_space(comparable(shown)) or verbatim(shown, [text]) is not None
    lines = inert(text).replace("\n", LINE_BREAK)
    assert not fold_space(comparable(lines)) or verbatim(lines, [text]) is not None


@given(TEXT)
def test_a_text_and_its_inert_form_compare_as_equal(text: str) -> None:
    assert comparable(text) == comparable(inert(text))


def test_the_original_comes_back() -> None:
    text = "Now\u200b then:\n  <|im_end|>\tgo   on \x1b[2J"
    assert verbatim("then: ‹|im_end|› go on ␛[2J", [text]) == text[5:]
    assert verbatim("‹|im_end", [text]) == "<|im_end"
    assert verbatim("<|im_end|> go", [text]) == "<|im_end|>\tgo"
    assert verbatim("then: go", [text]) is None
    assert verbatim(" \n⏎", [text]) is None


@pytest.mark.parametrize("line", ["<|im_start|>", "é\u202e日<", "> <", " ", "]~[|"])
def test_a_megabyte_is_no_trouble(line: str) -> None:
    text = line * (1_000_000 // len(line))
    begun = time.process_time()
    made = inert(text)
    assert verbatim(f"{made[500_000:500_200]}no", [text]) is None
    assert time.process_time() - begun < 1.5
