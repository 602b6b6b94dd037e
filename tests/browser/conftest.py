"""A browser, and pages of comparisons in it: a request, a dialog, an error or a warning makes a test fail."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from page_reader import CHROMIUM, NAMES, draw_all, make_duel, make_hostile, opened, write
from playwright.sync_api import Browser, Page, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH, and GANDUEL_CHROMIUM is not set")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def duel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(make_duel(tmp_path_factory.mktemp("page") / "duel"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(make_hostile(tmp_path_factory.mktemp("page") / "hostile"))


@pytest.fixture(scope="module")
def trouble() -> list[str]:
    """What went wrong in pages since it was looked at last."""
    return []


@pytest.fixture
def show(browser: Browser, trouble: list[str]) -> Iterator[Callable[..., Page]]:
    """A function that opens a page for one test, to which nothing may go wrong."""
    trouble.clear()
    pages: list[Page] = []

    def show(*args: Any, **more: Any) -> Page:
        pages.append(opened(browser, trouble, *args, **more))
        return pages[-1]

    yield show
    for page in pages:
        page.context.close()
    assert trouble == []


@pytest.fixture(scope="module")
def duel_page(browser: Browser, trouble: list[str], duel: Path) -> Page:
    return opened(browser, trouble, duel)


@pytest.fixture(scope="module")
def hostile_page(browser: Browser, trouble: list[str], hostile: Path) -> Page:
    """All of its plots are drawn, single runs and everything else included."""
    page = opened(browser, trouble, hostile, "#single=true&Everything+else=true")
    draw_all(page)
    return page


@pytest.fixture
def quiet(trouble: list[str]) -> Iterator[None]:
    """Nothing goes wrong in the pages that tests share."""
    trouble.clear()
    yield
    assert trouble == []
