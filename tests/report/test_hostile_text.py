"""What an organism or an investigator writes stays text, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.report import run_report, write_report

from .chromium import Chromium
from .whole_run import whole_run

HOSTILE = (
    "<script>window.caught = 'script'</script>"
    "<img src=x onerror=\"window.caught = 'handler'\">"
    "<svg onload=\"window.caught = 'svg'\"><a href=\"javascript:window.caught='link'\">here</a></svg>"
    "\"><b onclick=window.caught=1 autofocus onfocus=\"window.caught = 'focus'\" tabindex=1>'"
    "</title></style></textarea></pre><style>*{display:none}</style>"
    "<meta http-equiv=refresh content=0;url=//example.org>"
    "<link rel=stylesheet href=//example.org/x.css><iframe src=//example.org></iframe><base href=//example.org>"
    "{{ 7 * 7 }}{% raw %}&lt;script&gt;"
    "\x1b[31m\x9b1m\x00\x07\r\u202egnihton\u2066\u200b\u2028\ufeff\U000e0041\U000e0101"
)
UNSEEN = (
    r"/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
    r"|[\u{e0000}-\u{e01ef}]/u"
)
HARMLESS = """
(() => {
  const wrong = [];
  if (window.caught) wrong.push("ran: " + window.caught);
  if (document.scripts.length !== 1) wrong.push(document.scripts.length + " scripts");
  if (document.querySelectorAll("style").length !== 1) wrong.push("styles");
  for (const tag of ["img", "iframe", "link", "base", "object", "embed", "form", "b[onclick]"])
    if (document.querySelector(tag)) wrong.push(tag);
  for (const each of document.querySelectorAll("*")) {
    for (const attribute of each.attributes) {
      if (attribute.name.startsWith("on")) wrong.push(each.tagName + " " + attribute.name);
      if (UNSEEN.test(attribute.value)) wrong.push("unseen in " + attribute.name + ": " + escape(attribute.value));
    }
  }
  for (const link of document.querySelectorAll("a")) {
    const to = link.getAttribute("href");
    if (!to.startsWith("#")) wrong.push("leads to " + to);
    else if (!document.getElementById(to.slice(1))) wrong.push("leads nowhere: " + to);
  }
  const text = document.body.textContent;
  const at = text.search(UNSEEN);
  if (at >= 0) wrong.push("unseen: " + escape(text.slice(at, at + 3)));
  if (getComputedStyle(document.querySelector("h1")).display === "none") wrong.push("styled from within");
  return wrong;
})()
""".replace("UNSEEN", UNSEEN)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = whole_run(lambda text: text + HOSTILE)
    path = tmp_path_factory.mktemp("hostile") / "run.html"
    write_report(run_report(run.run, run.steps, run.grades), path)
    return path


def test_hostile_text_is_inert(hostile_page: Path, browser: Chromium) -> None:
    browser.emulate()
    browser.open(hostile_page)
    browser.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for _ in range(12):
        browser.press("Tab")
    assert browser.evaluate(HARMLESS) == []
    assert browser.complaints == []
    assert browser.requests == [hostile_page.as_uri()]


def test_what_acts_unseen_is_shown_and_told_from_text_that_looks_so(hostile_page: Path, browser: Chromium) -> None:
    browser.open(hostile_page)
    shown = browser.evaluate("[...new Set([...document.querySelectorAll('.esc')].map((each) => each.textContent))]")
    assert {"␛", "␀", "⟨U+202E⟩", "⟨U+200B⟩", "⟨U+E0041⟩", "⟨U+009B⟩"} <= set(shown)
    run = whole_run(lambda text: text + "⟨U+202E⟩")
    assert 'class="esc"' not in run_report(run.run, run.steps, run.grades)


def test_quotes_of_hostile_text_find_their_place(hostile_page: Path, browser: Chromium) -> None:
    browser.open(hostile_page)
    for number in range(1, 5):
        assert browser.evaluate(f"document.getElementById('q1-{number}') !== null")
    inside = browser.evaluate(
        "document.getElementById('q1-1').closest('mark') && document.getElementById('q1-1').closest('article').id"
    )
    assert inside == "s2"


def test_the_check_notices_a_page_that_is_not_inert(tmp_path: Path, browser: Chromium) -> None:
    page = tmp_path / "naive.html"
    text = HOSTILE.replace("http-equiv=refresh", "")  # it would leave before anyone can look
    page.write_text(f"<!DOCTYPE html><meta charset=utf-8><title>x</title><h1>x</h1>{text}", encoding="utf-8")
    browser.open(page)
    found = browser.evaluate(HARMLESS.replace("to.startsWith", "String(to).startsWith"))
    assert any(each.startswith("ran:") for each in found) and any(each.startswith("unseen") for each in found)
    assert len(browser.requests) > 1


@pytest.mark.parametrize("text", ["", "<", "&amp;", "a\u202eb", "\x00", "'\"`", "{{ view }}"])
def test_any_text_can_be_shown(text: str) -> None:
    run = whole_run(lambda said: said + text)
    page = run_report(run.run, run.steps, run.grades)
    assert page.count("<script>") == 1 and "\u202e" not in page and "\x00" not in page
