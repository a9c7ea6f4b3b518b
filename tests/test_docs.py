"""The documentation's code works, and what it points to is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from finetrace.models.pair import Capability, Completion
from finetrace.tools.cache import ReadingCache
from finetrace.tools.instrument import Context, parse_arguments, purpose, take

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


class EchoPair:
    """Continues each text with its own words, and says how often it was asked."""

    capabilities = frozenset({Capability.GENERATE})
    fingerprint = "echo"
    asked = 0

    def generate(self, side, prompts, decoding, progress=None) -> list[Completion]:
        self.asked += len(prompts)
        return [Completion(f"{prompt.text} again", (1,), (0.0,), True) for prompt in prompts]


def test_instrument_of_the_guide_takes_a_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "instruments.md").read_text(), re.DOTALL)
    file = tmp_path / "answer_length.py"
    file.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("answer_length")

    instrument, pair = module.AnswerLength(), EchoPair()
    arguments = parse_arguments(instrument, {"texts": ["one two", "three"]})
    context = Context(cache=ReadingCache(tmp_path / "cache"))
    reading = take(instrument, pair, arguments, context)
    assert reading.render() == "3 words: one two again\n2 words: three again"
    assert list(reading.quotable()) == ["one two again", "three again"]
    assert purpose(instrument).startswith("Says how many words")
    assert instrument.cost(arguments) == 2
    assert take(instrument, pair, arguments, context) == reading
    assert pair.asked == 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_commands_of_a_page_exist(page: Path):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z]+)", page.read_text(), re.MULTILINE)) <= targets
