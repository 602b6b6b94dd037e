"""The page of a comparison in Chromium: it asks for nothing, does what its controls say, and keeps text text.

Every page is opened with the network off; a request, a dialog, an error or a warning makes the test fail.
"""

import csv
import io
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from golden import FD, RECALL, make_sweep
from page_reader import (
    BLUE,
    FORMULA,
    IMAGE,
    ORANGE,
    append,
    blank,
    column,
    count,
    make_duel,
    plot,
    reload,
    slide,
    sources,
    texts,
    traces,
    values,
    write,
)
from PIL import Image
from playwright.sync_api import Page


@pytest.mark.slow
def test_opens_with_the_network_off(show: Callable[..., Page], tmp_path: Path):
    """A sweep of 10 runs; every plot of an open section shows something, and every section has its link."""
    path = write(make_sweep(tmp_path / "sweep"))
    start = time.perf_counter()
    page = show(path)
    print(f"\nready after {time.perf_counter() - start:.2f} s, {path.stat().st_size / 1e6:.2f} MB")
    assert blank(page) == []
    assert page.eval_on_selector_all("nav a:not([hidden])", "(all) => all.length") == 7
    assert page.title() == "ganduel – loss: nonsaturating against saturating, 10 runs"
    assert page.inner_text("#verdicts").startswith("Over 5 paired seeds, nonsaturating ends at")


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_samples(duel_page: Page):
    """The slider chooses the iteration, the list the seed; the real samples stay."""
    page = duel_page
    last = sources(page)
    assert page.text_content("#iteration-value") == "500"
    slide(page, "#iteration", 0)
    first = sources(page)
    assert page.text_content("#iteration-value") == "0"
    assert len(first) == len(last) == 3
    assert first[:2] != last[:2]
    assert first[2] == last[2]
    slide(page, "#iteration", 1)
    page.select_option("#seed", "3")
    assert sources(page)[0] not in (*first, *last)
    page.select_option("#seed", "all")
    assert len(sources(page)) == 11
    captions = texts(page, "#grids figcaption")
    assert captions[0] == "nonsaturating, seed 0, iteration 500"
    assert captions[-1] == "real samples"
    assert count(page, "#grids img", "one.alt && one.complete && one.naturalWidth === 16") == 11


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_nearest_training_images(show: Callable[..., Page], tmp_path: Path):
    """Of the runs that have the picture, and of the chosen seeds."""
    folder = make_sweep(tmp_path / "sweep", 2)
    for seed in (0, 1):
        picture = folder / f"loss=saturating,seed={seed}" / "samples" / "memorisation.png"
        Image.new("L", (20, 10)).save(picture)
    page = show(write(folder))
    assert texts(page, "#nearest figcaption") == ["saturating, seed 0"]
    page.select_option("#seed", "all")
    assert texts(page, "#nearest figcaption") == ["saturating, seed 0", "saturating, seed 1"]
    assert count(page, "#nearest img", "one.alt && one.complete && one.naturalWidth === 20") == 2


@pytest.mark.usefixtures("quiet")
def test_where_the_samples_are(duel_page: Page):
    """Bars are shares; early, midway and late differ, and the slider goes on from there."""
    page = duel_page

    def bars(caption: str) -> list[list[float]]:
        return [trace["y"] for trace in traces(page, caption) if trace["type"] == "bar"]

    seen = []
    for name, iteration in (("early", "50"), ("midway", "250"), ("late", "500")):
        page.get_by_role("button", name=name).click()
        assert page.text_content("#form-iteration-value") == iteration
        seen.append((bars("G's loss"), bars("Size of its slope")))
        assert [len(ys) for plot in seen[-1] for ys in plot] == [32, 32, 64, 64]
        assert all(math.isclose(sum(ys), 1) for plot in seen[-1] for ys in plot)
    assert all(one[n] != two[n] for n in (0, 1) for one, two in ((seen[0], seen[1]), (seen[1], seen[2])))
    slide(page, "#form-iteration", 1)
    assert (bars("G's loss"), bars("Size of its slope")) == seen[0]
    lines = [trace for trace in traces(page, "G's loss") if trace["type"] != "bar"]
    assert {trace["line"]["color"] for trace in lines} == {BLUE, ORANGE}
    middle = lines[0]["x"].index(0.5)
    assert sorted(trace["y"][middle] for trace in lines) == pytest.approx([-math.log(2), math.log(2)], abs=1e-3)


@pytest.mark.slow
def test_table_of_runs(show: Callable[..., Page], duel: Path):
    """Sorted by any column, both ways, numbers as numbers; filtered; linked to the folders."""
    page = show(duel)
    headings = texts(page, "#run-table th")
    assert headings == ["run", "loss", "seed", "status", "remarks", "iteration", "seconds", FD, RECALL]
    for name in headings:
        heading = page.locator("#run-table").get_by_role("columnheader", name=name, exact=True)
        button = heading.get_by_role("button")
        for _ in range(1 + (name == "run")):  # it was sorted by already
            button.dispatch_event("click")
        rising = column(page, name)
        assert heading.get_attribute("aria-sort") == "ascending"
        button.dispatch_event("click")
        assert heading.get_attribute("aria-sort") == "descending"
        assert page.locator("#run-table th[aria-sort]").count() == 1
        assert column(page, name) == sorted(rising, key=rising.index, reverse=True)
        if name in ("seed", FD, RECALL):
            assert [float(cell) for cell in rising] == sorted(float(cell) for cell in rising)
    page.fill("#filter", "nonsat 3")
    assert column(page, "run") == ["loss=nonsaturating,seed=3"]
    assert page.text_content("#shown") == "1 of 10 runs"
    reload(page)
    assert column(page, "run") == ["loss=nonsaturating,seed=3"]
    href = page.get_attribute("#run-table td a", "href")
    assert href == "./duel/loss%3Dnonsaturating%2Cseed%3D3/"
    assert (duel.parent / "duel" / "loss=nonsaturating,seed=3").is_dir()
    assert page.evaluate("document.querySelector('#run-table td a').href") == f"{duel.parent.as_uri()}{href[1:]}"


@pytest.mark.slow
def test_curves_and_what_is_chosen_survive_a_reload(show: Callable[..., Page], duel: Path):
    """Every control changes the plots, and is found again in the address."""
    page = show(duel)
    fd, loss = FD, "Loss of D"
    first = traces(page, loss)
    assert [trace["fill"] for trace in first] == ["toself", "toself", None, None]
    assert traces(page, fd)[-1]["y"][0] > traces(page, fd)[-1]["y"][-1]
    for axis, last in (("images_seen", 32000), ("seconds", 10), ("iteration", 500)):
        page.select_option("#axis", axis)
        assert traces(page, loss)[-1]["x"][-1] == last
    assert plot(page, loss)["xaxis"]["title"]["text"] == "iteration"
    page.select_option("#band", "quartiles")
    assert traces(page, loss)[0]["y"] != first[0]["y"]
    page.select_option("#band", "none")
    assert len(traces(page, loss)) == 2
    page.check("#single")
    assert len(traces(page, loss)) == 12
    page.uncheck("#single")
    raw = traces(page, fd)[-1]["y"]
    slide(page, "#smooth", 2)
    beneath, smooth = traces(page, fd)[-2:]
    assert beneath["y"] == raw
    assert smooth["y"][5] == pytest.approx(np.mean(raw[3:8]))
    low, high = plot(page, "Accuracy of D on real")["yaxis"]["range"]
    assert 0.65 < low < 0.699 < 0.701 < high < 0.75  # flat but for rounding
    assert beneath["line"]["width"] < smooth["line"]["width"]
    page.check("#logx")
    page.check("#logy")
    assert [plot(page, loss)[axis]["type"] for axis in ("xaxis", "yaxis")] == ["log", "log"]
    assert plot(page, "Loss of G")["yaxis"]["type"] == "linear"  # it is below 0, and would not be seen
    page.select_option("#axis", "seconds")
    page.select_option("#band", "quartiles")
    page.check("#single")
    page.click("#theme")
    page.get_by_role("button", name="midway").click()
    slide(page, "#iteration", 0)
    page.select_option("#seed", "2")
    page.click("summary:has-text('Losses')")
    reload(page)
    assert values(page, "axis", "band", "smooth", "seed", "iteration") == ["seconds", "quartiles", "2", "2", "0"]
    assert values(page, "logx", "logy", "single") == [True] * 3
    assert page.get_attribute("html", "data-theme") == "dark"
    assert page.text_content("#smooth-value") == "± 2 points"
    assert page.text_content("#form-iteration-value") == "250"
    assert count(page, "details:has(strong)", "!one.open") == 2  # Losses, and everything else
    assert len(traces(page, "D(x)")) == 2 + 10 + 4


@pytest.mark.slow
def test_an_address_that_says_nothing_sensible(show: Callable[..., Page], duel: Path):
    """What is not on offer is as if nothing had been chosen."""
    odd = "#axis=weeks&band=&smooth=x&seed=77&iteration=abc&form-iteration=-5&sort=toString&order=up&theme=pink&=&%"
    page = show(duel, odd)
    assert values(page, "axis", "band", "seed") == ["iteration", "interval", "0"]
    assert page.get_attribute("#run-table th", "aria-sort") == "ascending"
    assert len(traces(page, "Loss of D")) == 4
    assert len(traces(page, "G's loss")) == 4


@pytest.mark.slow
def test_themes(show: Callable[..., Page], duel: Path):
    """The system's at first, also when it changes; the reader's choice afterwards."""
    page = show(duel, color_scheme="dark")
    assert page.get_attribute("html", "data-theme") == "dark"
    assert traces(page, "Loss of D")[-1]["line"]["color"] != ORANGE
    page.emulate_media(color_scheme="light")
    page.wait_for_selector("html[data-theme=light]")
    assert traces(page, "Loss of D")[-1]["line"]["color"] == ORANGE
    page.click("#theme")
    page.emulate_media(color_scheme="dark")
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(100)
    assert page.get_attribute("html", "data-theme") == "dark"


def download(page: Page, button: str) -> list[list[str]]:
    with page.expect_download() as found:
        page.click(button)
    return list(csv.reader(io.StringIO(found.value.path().read_text(encoding="utf-8"))))


@pytest.mark.usefixtures("quiet")
def test_downloads(duel_page: Page, duel: Path):
    """Every run, and every value of every run: what metrics.jsonl holds."""
    page = duel_page
    head, *rows = download(page, "#csv-runs")
    assert head == ["run", "loss", "stratum", "seed", "status", "failure", "iteration", "seconds", FD, RECALL]
    assert len(rows) == 10
    run = dict(zip(head, rows[7], strict=True))
    assert (run["run"], run["seed"], float(run[FD]), run["failure"]) == ("loss=saturating,seed=2", "2", 10.8, "")
    head, *rows = download(page, "#csv-curves")
    assert head == ["loss", "stratum", "seed", "metric", "iteration", "value"]
    metrics = (duel.parent / "duel" / "loss=saturating,seed=2" / "metrics.jsonl").read_text(encoding="utf-8")
    for key in (FD, "loss/g", "d/fake"):
        own = {float(row[4]): float(row[5]) for row in rows if row[:4] == ["saturating", "", "2", key]}
        told = {row["iteration"]: row[key] for row in map(json.loads, metrics.splitlines()) if key in row}
        assert own == pytest.approx(told, rel=1e-3)


@pytest.mark.usefixtures("quiet")
def test_formulas_of_a_spreadsheet(hostile_page: Page):
    """A cell that would be one begins with an apostrophe; commas and quotes are quoted; numbers stay numbers."""
    for button, negative in (("#csv-runs", False), ("#csv-curves", True)):
        head, *rows = download(hostile_page, button)
        cells = [cell for row in (head, *rows) for cell in row]
        assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r\n")) and not is_number(cell)]
        assert f"'{FORMULA}" in cells
        assert IMAGE in cells
        assert {len(row) for row in rows} == {len(head)}
        assert any(is_number(cell) and float(cell) < 0 for cell in cells) == negative


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


# What is to be done in an hour waits until it is called for.
IN_AN_HOUR = """
const later = setTimeout;
window.setTimeout = (f, ms, ...more) => ms === 3_600_000 ? (window.due = f) && 0 : later(f, ms, ...more);
"""


@pytest.mark.slow
def test_a_page_that_is_watched(show: Callable[..., Page], tmp_path: Path):
    """It loads itself again, with the choices as they were; new iterations do not move the sliders."""
    runs = make_duel(tmp_path / "runs")
    page = show(write(runs, refresh=3600), script=IN_AN_HOUR)
    page.get_by_role("button", name="midway").click()
    page.check("#logx")
    # A function: the page's policy forbids Chromium to evaluate a string again, as it must if it has to wait.
    page.wait_for_function("() => ['form-iteration', 'logx'].every((name) => location.hash.includes(name))")
    for folder in runs.iterdir():
        append(
            folder / "histograms.jsonl",
            [{"iteration": 25, "d/real": [1] * 32, "d/fake": [1] * 32, "logit/fake": [1] * 64}],
        )
    write(runs)
    page.evaluate("void setTimeout(due)")
    page.wait_for_function("() => !window.due && document.documentElement.dataset.ready")
    assert page.is_checked("#logx")
    assert page.text_content("#form-iteration-value") == "250"
    assert page.eval_on_selector("#form-iteration", "(slider) => slider.max") == "11"
