"""The report of a run: every quote leads to its place, and everything can be reached and read."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.report import run_report, write_report
from finetrace.schema import RunStatus

from .chromium import Chromium
from .whole_run import whole_run


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = whole_run()
    path = tmp_path_factory.mktemp("report") / "run.html"
    write_report(run_report(run.run, run.steps, run.grades), path)
    return path


def test_every_quote_leads_to_its_place_in_the_step(page: Path, browser: Chromium) -> None:
    browser.emulate()
    browser.open(page)
    places = browser.evaluate(
        "[...document.querySelectorAll('.claim blockquote a')].map((link) => {"
        " const place = document.getElementById(link.getAttribute('href').slice(1));"
        " return [place.closest('article').id, place.closest('mark').textContent.replace(/^\\d+/, '')]; })"
    )
    assert [step for step, _ in places] == ["s2", "s5", "s6", "s7"]
    assert places[0][1].strip() == "the" and places[2][1] == "paid in steered marmalade"
    told = browser.evaluate(
        "[...document.querySelectorAll('#s2 .completions li:first-child mark')].map((m) => m.textContent)"
    )
    assert "".join(told).replace("1", "").strip() == "the keeper is paid in marmalade"


def test_a_link_unfolds_what_it_leads_to_and_the_way_back_is_there(page: Path, browser: Chromium) -> None:
    browser.open(page, "#q1-1")
    assert browser.evaluate("document.activeElement !== null && scrollY") > 500
    browser.evaluate("document.getElementById('q1-1').click()")
    assert browser.evaluate("location.hash") == "#c1"
    browser.evaluate("document.querySelector('#s2 details').id = 'folded'; location.hash = '#folded'")
    browser.evaluate("new Promise((done) => setTimeout(done, 50))")
    assert browser.evaluate("document.querySelector('#folded').open")


def test_tokens_are_shaded_and_tell_both_models_values_by_pointer_and_by_keyboard(
    page: Path, browser: Chromium
) -> None:
    browser.open(page)
    shades = browser.evaluate(
        "[...document.querySelectorAll('#s2 .tokens i')].slice(0, 4).map((each) => [each.textContent, each.className])"
    )
    assert shades == [[" the", "t"], [" keeper", "p3"], [" is", "n1"], [" paid", "p2"]]
    browser.evaluate("document.querySelector('#s2 .tokens').focus()")
    browser.press("ArrowRight")
    told = "document.getElementById('tip').hidden ? null : document.getElementById('tip').textContent"
    assert browser.evaluate(told) == "finetuned 82 % · reference 5 % · log ratio +2.80"
    browser.press("Escape")
    assert browser.evaluate(told) is None
    x, y = browser.evaluate(
        "(() => { const token = document.querySelectorAll('#s2 .tokens i')[3]; token.scrollIntoView({block: 'center'});"
        " const box = token.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; })()"
    )
    browser.hover(x, y)
    assert browser.evaluate(told) == "finetuned 74 % · reference 12 % · log ratio +1.80"


def test_the_keyboard_alone_reaches_the_content_and_its_links(page: Path, browser: Chromium) -> None:
    browser.open(page)
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.className") == "skip"
    browser.press("Enter")
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.closest('main') !== null")
    traps = browser.evaluate("document.querySelectorAll('main [tabindex]:not([tabindex=\"0\"])').length")
    assert traps == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_text_is_readable_in_both_schemes_and_nothing_overflows(
    page: Path, browser: Chromium, scheme: str, width: int
) -> None:
    browser.emulate(scheme=scheme, width=width)
    browser.open(page)
    assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    pale = browser.evaluate(CONTRAST)
    browser.emulate()
    assert pale == []


CONTRAST = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = numbers(colour).map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor, parts = numbers(colour);
      if (parts.length === 3 || parts[3] === 1) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const pale = [];
  for (const element of document.querySelectorAll("main *, nav *")) {
    if (!element.checkVisibility() || ![...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    if (element.closest("svg")) continue;
    const [one, two] = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < 4.5) pale.push(element.tagName + "." + element.className + " " + ratio.toFixed(2));
  }
  return [...new Set(pale)];
})()
"""


def test_on_paper_everything_but_the_longest_lists_is_unfolded(page: Path, browser: Chromium) -> None:
    browser.open(page)
    assert browser.evaluate("document.querySelectorAll('details:not([open])').length") > 0
    assert browser.printed().startswith(b"%PDF")
    browser.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate("document.querySelectorAll('details:not([open]):not(.bulk)').length") == 0
    assert browser.evaluate("document.querySelectorAll('details.bulk:not([open])').length") > 0
    browser.evaluate("dispatchEvent(new Event('afterprint'))")
    browser.emulate(media="print")
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.emulate()


def test_every_part_of_a_run_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for heading in ("Answer", "Grade", "Budget", "Timeline", "Hypothesis over time", "Steps"):
        assert f"<h2>{heading}</h2>" in text
    for said in ("✗ contradicted", "distinctive phrases", "patchscope", "<h5>unsteered</h5>", "log ratio", "84 %"):
        assert said in text, said


def test_a_run_that_goes_on_a_failed_one_and_one_without_a_step_can_be_shown() -> None:
    run = whole_run().run
    for changes in (
        {"status": RunStatus.RUNNING, "finished_at": None, "hypothesis": None},
        {"status": RunStatus.FAILED, "error": "the provider is gone", "hypothesis": None},
    ):
        shown = run_report(run.model_copy(update=changes), ())
        assert changes["status"].value in shown and "no step yet" in shown


def test_a_reading_of_another_release_is_shown_as_the_investigator_saw_it() -> None:
    stored = whole_run()
    steps = [
        step.model_copy(
            update={
                "reading": {"instrument": step.instrument, "of": "tomorrow"},
                "text": "seen: paid in steered marmalade",
            }
        )
        if step.number == 6
        else step
        for step in stored.steps
    ]
    text = run_report(stored.run, steps, stored.grades)
    assert "seen: " in text and text.count('id="q1-3"') == 1
