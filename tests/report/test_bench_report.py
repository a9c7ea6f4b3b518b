"""The report of a benchmark: figures, cells that lead to runs, published numbers that cannot be taken for ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetrace.report import write_report
from finetrace.report.bench_report import bench_report

from .chromium import Chromium, find_chromium
from .small_bench import ARMS, small_bench
from .test_hostile_text import HARMLESS, HOSTILE
from .test_run_report import CONTRAST

LARGEST = 15_000_000
"""Bytes that a report of 200 runs may have."""
SOON = 2.0
"""Seconds after which it must be usable."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "bench.html"
    write_report(bench_report(small_bench(seeds=2, protocol="adl")), path)
    return path


def test_every_cell_leads_to_its_run(page: Path, browser: Chromium) -> None:
    browser.emulate()
    browser.open(page)
    cells = browser.evaluate(
        "[...document.querySelectorAll('.heat tbody td')].map((cell) => [...cell.querySelectorAll('.seeds a')].map("
        "(link) => document.querySelector(link.getAttribute('href') + ' summary').textContent.replace(/\\s+/g, ' ')))"
    )
    organisms = browser.evaluate(
        "[...document.querySelectorAll('.heat th[scope=row]')].map((th) => th.firstChild.data.trim())"
    )
    assert len(cells) == 4 * len(ARMS) and len(organisms) == 4
    for place, runs in enumerate(cells):
        organism, arm = organisms[place // len(ARMS)], ARMS[place % len(ARMS)]
        assert len(runs) == 2
        for seed, told in enumerate(runs):
            assert told.split()[:4] == [organism, arm, "seed", str(seed)]
    browser.evaluate("document.querySelector('.heat td a').click()")
    assert browser.evaluate("document.querySelector(location.hash).open")


def test_all_parts_are_there_and_all_links_hold(page: Path, browser: Chromium) -> None:
    browser.open(page)
    for part in ("arms", "heat", "effects", "mixing", "false", "cost", "tools", "published", "runs"):
        assert browser.evaluate(f"document.querySelector('#{part} .plot, #{part} table, #{part} details') !== null"), (
            part
        )
    plots = browser.evaluate("[...document.querySelectorAll('svg.plot > title')].map((title) => title.textContent)")
    assert {"effects of arms on the score", "false positives", "score against dollars a run"} <= set(plots)
    assert "score by mixing ratio, false facts" in plots
    nowhere = (
        "[...document.querySelectorAll('a[href^=\"#\"]')].filter("
        "(link) => !document.getElementById(link.getAttribute('href').slice(1))).length"
    )
    assert browser.evaluate(nowhere) == 0
    twice = (
        "(() => { const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);"
        " return ids.length - new Set(ids).size; })()"
    )
    assert browser.evaluate(twice) == 0
    assert browser.complaints == [] and browser.requests == [page.as_uri()]


def test_published_numbers_are_marked_as_not_ours(page: Path, browser: Chromium) -> None:
    browser.open(page)
    hollow = browser.evaluate("[...document.querySelectorAll('.mark.hollow title')].map((title) => title.textContent)")
    assert hollow and all("published" in said for said in hollow)
    ours = browser.evaluate(
        "[...document.querySelectorAll('#published .mark:not(.hollow) title')].map((t) => t.textContent)"
    )
    assert ours and not any("published" in said for said in ours)
    written = page.read_text(encoding="utf-8")
    assert "not as published:" in written
    assert '<th scope="col">ours</th>' in written and "nulls that any run calls so" in written
    plain = bench_report(small_bench())
    assert "do not compare one to one" in plain and "hollow" not in plain.partition("<body>")[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_bench_is_readable_in_both_schemes(page: Path, browser: Chromium, scheme: str) -> None:
    browser.emulate(scheme=scheme, width=1200)
    browser.open(page)
    pale = browser.evaluate(CONTRAST)
    browser.emulate(width=420)
    assert browser.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    browser.emulate()
    assert pale == []


def test_the_list_of_runs_narrows_to_what_is_typed(page: Path, browser: Chromium) -> None:
    browser.open(page)
    browser.evaluate(
        "(() => { const field = document.querySelector('[data-filter]'); field.value = 'kettle full';"
        " field.dispatchEvent(new Event('input')); })()"
    )
    left = browser.evaluate(
        "[...document.querySelectorAll('details.run:not([hidden]) summary b')].map((b) => b.textContent)"
    )
    assert set(left) >= {"slow_kettle"} and len([each for each in left if each == "slow_kettle"]) == 2
    assert browser.evaluate("document.querySelector('[data-tally]').textContent") == "2 of 40"
    hidden = browser.evaluate("document.querySelector('details.run[hidden]').id")
    browser.evaluate(f"location.hash = '#{hidden}'")
    shown = f"(() => {{ const run = document.getElementById('{hidden}'); return run.open && run.offsetHeight > 0; }})()"
    assert browser.evaluate(shown), "a cell leads to its run whatever the list was narrowed to"


def test_hostile_text_is_inert_in_a_bench(tmp_path: Path, browser: Chromium) -> None:
    path = tmp_path / "bench.html"
    write_report(bench_report(small_bench(organisms=1, say=lambda text: text + HOSTILE)), path)
    browser.open(path)
    browser.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = [each for each in browser.evaluate(HARMLESS) if not each.startswith("leads to https://")]
    assert found == [] and browser.complaints == [] and browser.requests == [path.as_uri()]


def test_200_runs_are_small_enough_and_usable_at_once(tmp_path: Path, browser: Chromium) -> None:
    bench = small_bench(organisms=10, seeds=4, completions=300)
    assert len(bench.runs) == 200
    path = tmp_path / "bench.html"
    assert write_report(bench_report(bench), path) <= LARGEST
    with Chromium(str(find_chromium()), tmp_path / "profile") as fresh:
        fresh.open(path)
        fresh.evaluate(
            "new Promise((done) => { document.querySelectorAll('.heat a')[150].click();"
            " requestAnimationFrame(() => setTimeout(() => done(true))); })"
        )
        assert fresh.evaluate("document.querySelector(location.hash).open")
        assert 0 < fresh.worked() < SOON  # its computing alone: this machine may have other things to do
