"""One browser for all tests of the reports; they are skipped, with the reason, where there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .chromium import MISSING, Chromium, find_chromium


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Headless Chromium; where FINETRACE_TEST_CHROMIUM is set it must be there."""
    program = find_chromium()
    if program is None:
        pytest.skip(MISSING)
    with Chromium(program, tmp_path_factory.mktemp("chromium")) as started:
        yield started
