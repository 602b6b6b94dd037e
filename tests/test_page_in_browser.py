"""The page of a comparison in Chromium: it asks for nothing, does what its controls say, and keeps text text.

Every page is opened with the network off; a request, a dialog, an error or a warning makes the test fail.
"""

import csv
import io
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden import FD, RECALL, config, make_run, make_sweep, write_lines
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from ganduel.compare.analysis import analyse
from ganduel.compare.page import write_page
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import read_all

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("GANDUEL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)} is on the PATH, and GANDUEL_CHROMIUM is not set"
)

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
FORMULA, TEMPLATE = "=HYPERLINK(1)", "%{y}<br>&amp;"
BLUE, ORANGE = "#0072b2", "#d55e00"


def write(runs: Path, refresh: int | None = None) -> Path:
    """The page of the runs in a folder, beside it."""
    found, aside = read_all([runs])
    write_page(analyse(arrange(found)), aside, runs.with_suffix(".html"), refresh)
    return runs.with_suffix(".html")


def append(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def make_duel(folder: Path) -> Path:
    """Two forms over 5 seeds. FD falls to a value between 8 and 12.8; samples move from D = 0 to the middle."""
    for seed in range(5):
        for loss in ("saturating", "nonsaturating"):
            fd = 8 + seed + 0.8 * (loss == "saturating")
            run = make_run(folder / f"loss={loss},seed={seed}", loss, seed, metrics={FD: fd, RECALL: 0.5 + 0.01 * seed})
            append(
                run / "metrics.jsonl",
                [
                    {"iteration": n, "images_seen": 64 * n, FD: fd + (500 - n) / 5, "weights/norm_g": 5 + n}
                    for n in range(50, 500, 50)
                ],
            )
            histograms = [
                {
                    "iteration": n,
                    "d/real": [0] * 31 + [64],
                    "d/fake": [64 * (m == n // 40) for m in range(32)],
                    "logit/fake": [64 * (m == n // 10) for m in range(64)],
                }
                for n in [1, *range(50, 501, 50)]
            ]
            write_lines(run / "histograms.jsonl", histograms)
    return folder


def make_hostile(folder: Path) -> Path:
    """Levels, folders, reasons, notes, versions and a metric that are HTML, plotly's markup, or a formula."""
    for n, loss in enumerate((SCRIPT, IMAGE, FORMULA, TEMPLATE)):
        told = {**config(loss, n)["run"], "versions": {"torch": IMAGE}, "git": SCRIPT, "overrides": [f"loss={IMAGE}"]}
        for seed in range(2):
            run = make_run(
                folder / f"{seed}{loss}",
                loss,
                seed,
                metrics={FD: 40.0 + n, f"{IMAGE}/{SCRIPT}": 0.5},
                status="failed" if seed and n < 2 else "finished",
                reason=(IMAGE, SCRIPT, FORMULA, TEMPLATE)[n],
                run=told,
            )
            append(run / "metrics.jsonl", [{"iteration": m, f"{SCRIPT}": m, IMAGE: m} for m in (1, 50, 100)])
    (folder / f"empty{IMAGE}").mkdir()
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
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


def opened(
    browser: Browser,
    trouble: list[str],
    path: Path,
    address: str = "",
    width: int = 1280,
    script: str = "",
    **more: Any,
) -> Page:
    """The page as a reader without a network sees it; a script may run before its own."""
    context = browser.new_context(viewport={"width": width, "height": 800}, offline=True, **more)
    page = context.new_page()
    page.set_default_timeout(10_000)
    page.on("console", lambda message: trouble.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    own = (path.as_uri(), "data:", "blob:")
    page.on("request", lambda request: request.url.startswith(own) or trouble.append(f"request: {request.url}"))
    page.add_init_script(script)
    page.goto(path.as_uri() + address)
    ready(page)
    return page


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


def ready(page: Page) -> None:
    page.wait_for_selector("html[data-ready]", state="attached")


def reload(page: Page) -> None:
    page.wait_for_timeout(250)  # the address follows the last change after a moment
    page.reload()
    ready(page)


OPEN = "[...document.querySelectorAll('.plot')].filter((plot) => !plot.closest('details:not([open])'))"
PLOT = "[...document.querySelectorAll('.panel')].findLast((panel) => panel.textContent.startsWith(words)).lastChild"


def draw_all(page: Page) -> None:
    """Scroll through the page, so that every plot in an open section is drawn."""
    page.evaluate(
        f"""async () => {{
          for (const plot of {OPEN}) {{
            plot.scrollIntoView({{ block: "center" }});
            for (let n = 0; n < 200 && stale.has(plot); n++) await new Promise(requestAnimationFrame);
          }}
          scrollTo(0, 0);
        }}"""
    )


def plot(page: Page, caption: str) -> dict[str, Any]:
    """What plotly shows in the panel whose caption begins so: the traces' data and looks, and the axes."""
    page.evaluate(f"(words) => {PLOT}.scrollIntoView()", caption)
    page.wait_for_function(f"(words) => !stale.has({PLOT})", arg=caption)
    text = page.evaluate(
        f"""(words) => {{
          const {{ data, layout }} = {PLOT};
          const looks = ({{ type = null, x, y, fill = null, line }}) => ({{ type, x, y, fill, line }});
          return JSON.stringify({{ traces: data.map(looks), xaxis: layout.xaxis, yaxis: layout.yaxis }});
        }}""",
        caption,
    )
    return json.loads(text)


def traces(page: Page, caption: str) -> list[dict[str, Any]]:
    return plot(page, caption)["traces"]


def sources(page: Page) -> list[str]:
    return page.eval_on_selector_all("#grids img", "(all) => all.map((image) => image.src)")


def column(page: Page, name: str) -> list[str]:
    """The cells of the table of runs below a heading, from top to bottom."""
    return page.evaluate(
        """(name) => {
          const table = document.getElementById("run-table");
          const at = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === name);
          return [...table.tBodies[0].rows].map((row) => row.cells[at].textContent);
        }""",
        name,
    )


def slide(page: Page, selector: str, place: int) -> None:
    page.eval_on_selector(selector, "(s, n) => { s.value = n; s.dispatchEvent(new Event('input')); }", place)


def blank(page: Page) -> list[str]:
    """The captions of plots in open sections that show no trace, or only one colour."""
    draw_all(page)
    found = []
    for handle in page.evaluate_handle(OPEN).get_properties().values():
        one = handle.as_element()
        assert one is not None
        pixels = np.asarray(Image.open(io.BytesIO(one.screenshot())).convert("L"), dtype=float)
        if pixels.std() < 1 or not one.evaluate("(plot) => plot.data.some((trace) => trace.y.length)"):
            found.append(one.evaluate("(plot) => plot.previousSibling.textContent"))
    return found


def values(page: Page, *ids: str) -> list[str | bool]:
    """The state of controls."""
    state = "(one) => one.type === 'checkbox' ? one.checked : one.value"
    return [page.eval_on_selector(f"#{name}", state) for name in ids]


def texts(page: Page, selector: str) -> list[str]:
    return page.eval_on_selector_all(selector, "(all) => all.map((one) => one.textContent)")


def count(page: Page, selector: str, which: str) -> int:
    """How many of the elements are such."""
    return page.eval_on_selector_all(selector, f"(all) => all.filter((one) => {which}).length")


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


CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const paint = (how, colour) => {
    canvas.globalCompositeOperation = how;
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
  };
  const over = (colour, base) => {
    paint("copy", `rgb(${base})`);
    paint("source-over", colour);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = (element) => {
    const above = [];
    for (let one = element; one; one = one.parentElement) above.unshift(getComputedStyle(one).backgroundColor);
    return above.reduce((base, colour) => over(colour, base), [255, 255, 255]);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (colour, base) => {
    const [a, b] = [luminance(over(colour, base)), luminance(base)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const root = getComputedStyle(document.documentElement);
  const written = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const texts = [...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility() && written(one) && !one.closest("script, option, .modebar"))
    .map((one) => [one, one.closest("svg text") ? getComputedStyle(one).fill : getComputedStyle(one).color])
    .map(([one, colour]) => [one.textContent.slice(0, 40), contrast(colour, ground(one.closest(".plot") ?? one))]);
  const filter = document.getElementById("filter");
  texts.push(["placeholder", contrast(getComputedStyle(filter, "::placeholder").color, ground(filter))]);
  const grounds = [ground(document.querySelector(".panel")), ground(document.body)];
  const lines = [...COLOURS[document.documentElement.dataset.theme], root.getPropertyValue("--soft")];
  return [texts, lines.map((colour) => [colour, Math.min(...grounds.map((base) => contrast(colour, base)))])];
}"""


@pytest.mark.slow
@pytest.mark.usefixtures("quiet")
def test_contrast(hostile_page: Page):
    """WCAG 2's, in both themes: lines at least 3:1, text at least 4.5:1, wherever they are."""
    for theme in ("light", "dark"):
        assert hostile_page.get_attribute("html", "data-theme") == theme
        draw_all(hostile_page)
        words, lines = hostile_page.evaluate(CONTRASTS)
        assert len(words) > 150
        assert [(text, ratio) for text, ratio in words if ratio < 4.5] == []
        assert [(colour, ratio) for colour, ratio in lines if ratio < 3] == []
        hostile_page.click("#theme")


@pytest.mark.usefixtures("quiet")
def test_text_stays_text(hostile_page: Page):
    """Names, reasons, versions and metrics that are HTML are read as such, in tables, plots and what comes on hover."""
    page = hostile_page
    for name in (SCRIPT, IMAGE, FORMULA, TEMPLATE):
        assert name in page.title()
        for place in (
            "h1",
            "#verdicts",
            "#differences",
            "#failures",
            "#final-legend",
            "#legend",
            "#run-table",
            "#grids",
        ):
            assert name in (page.text_content(place) or ""), (name, place)
    for name in (SCRIPT, IMAGE):
        assert name in (page.text_content("#provenance") or "")
        assert any(name in caption for caption in texts(page, "#final-panels figcaption"))
        assert any(name in caption for caption in texts(page, "#curves figcaption"))
    assert f"empty{IMAGE}" in (page.text_content("#aside") or "")
    for panel in ("#final-panels", "#curve-groups", "#form-panels"):
        page.eval_on_selector(
            f"{panel} .plot",
            """(plot) => {
              plot.scrollIntoView({ block: "center" });
              const place = (trace) => trace.yaxis ?? "y", first = place(plot.data[0]);
              const at = ({ y }) => Math.max(0, y.findIndex((value) => value));
              const points = plot.data.map((trace, n) => ({ curveNumber: n, pointNumber: at(trace) }));
              Plotly.Fx.hover(plot, points.filter((_, n) => place(plot.data[n]) === first), `x${first}`);
            }""",
        )
        shown = " ".join(texts(page, f"{panel} .hoverlayer text"))
        assert all(name in shown for name in (SCRIPT, IMAGE, FORMULA, TEMPLATE)), (panel, shown)
    assert page.locator("script").count() == 3
    assert page.locator("img[src=x], [onerror], main script").count() == 0


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


@pytest.mark.slow
def test_keyboard(show: Callable[..., Page], duel: Path):
    """Tab comes to every control; Enter sorts and follows a section's link, arrows move sliders, Space ticks."""
    page = show(duel)
    page.evaluate("window.reached = new Set()")
    controls = "a[href], button, input, select, summary, [tabindex='0']"
    wanted = count(page, controls, "one.checkVisibility() && !one.closest('.plot')")
    at_end = """() => {
      const one = document.activeElement;
      if (!one.closest(".plot")) reached.add(one); // plots have buttons of their own
      return one.matches("#origin summary");
    }"""
    for _ in range(300):
        page.keyboard.press("Tab")
        if page.evaluate(at_end):
            break
    assert page.evaluate("reached.size") == wanted
    page.focus("#run-table th:nth-child(3) button")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.get_attribute("#run-table th:nth-child(3)", "aria-sort") == "descending"
    assert column(page, "seed")[0] == "4"
    for slider in ("iteration", "form-iteration", "smooth"):
        page.focus(f"#{slider}")
        before = page.input_value(f"#{slider}")
        page.keyboard.press("Home" if slider == "smooth" else "ArrowLeft")
        page.keyboard.press("ArrowRight" if slider == "smooth" else "ArrowLeft")
        assert page.input_value(f"#{slider}") != before
    page.focus("#logx")
    page.keyboard.press("Space")
    assert page.is_checked("#logx")
    page.focus("nav a[href='#runs']")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "runs"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "filter"


@pytest.mark.usefixtures("quiet")
def test_accessibility(duel_page: Page):
    """Every control and picture has a name, the page one first heading and a language."""
    page = duel_page
    assert page.get_attribute("html", "lang") == "en"
    assert page.locator("h1").count() == 1
    assert count(page, "input, select", "!one.labels.length") == 0
    assert count(page, "button, a", "!one.closest('.plot') && !one.textContent.trim()") == 0
    assert count(page, "img", "!one.alt") == 0
    assert count(page, ".plot", "!one.closest('figure').querySelector('figcaption').textContent.trim()") == 0
    assert count(page, "[id]", "all.find((other) => other.id === one.id) !== one") == 0
    assert count(page, "table", "!one.caption && !one.closest('[aria-label]')") == 0
    levels = page.eval_on_selector_all("h1, h2, h3", "(all) => all.map((one) => Number(one.tagName[1]))")
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.slow
def test_on_a_phone(show: Callable[..., Page], hostile: Path):
    """At 360 pixels only tables scroll sideways, each by itself."""
    page = show(hostile, "#Everything+else=true", width=360)
    draw_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    shown = "one.checkVisibility() && !one.closest('.scroll, svg, .plot')"
    assert count(page, "main *", f"{shown} && one.getBoundingClientRect().right > 361") == 0
    assert count(page, ".plot svg", "one.getBoundingClientRect().right > 360") == 0


@pytest.mark.slow
def test_print(show: Callable[..., Page], duel: Path):
    """On paper: light, all plots of open sections in their panels, no controls; the screen is as before afterwards."""
    page = show(duel, color_scheme="dark")
    assert page.evaluate(f"{OPEN}.filter((plot) => !plot.data).length") > 5
    assert page.pdf().startswith(b"%PDF")
    assert page.evaluate(f"{OPEN}.filter((plot) => !plot.data?.length).length") == 0
    assert page.get_attribute("html", "data-theme") == "dark"
    page.emulate_media(media="print")
    page.wait_for_selector("html[data-theme=light]")
    right = "getBoundingClientRect().right"
    assert count(page, ".plot:has(svg)", f"one.querySelector('svg').{right} > one.parentElement.{right}") == 0
    assert page.locator(".controls:visible, nav:visible, #theme:visible").count() == 0
    page.emulate_media(media="screen")
    page.wait_for_selector("html[data-theme=dark]")
    assert page.eval_on_selector(".plot svg", "(svg) => svg.clientWidth") > 330
    page.click("summary:has-text('Everything else')")
    page.wait_for_function(f"() => {OPEN}.at(-3).querySelector('svg')?.clientWidth > 330")


def none_of(folder: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in folder.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def one_run(folder: Path) -> set[str]:
    make_run(folder / "a", "saturating")
    return set()


def one_level(folder: Path) -> set[str]:
    for seed in range(3):
        make_run(folder / f"{seed}", "nonsaturating", seed)
    return set()


def nothing_but_rows(folder: Path) -> set[str]:
    for loss in ("saturating", "nonsaturating"):
        make_run(folder / loss, loss, metrics={})
    none_of(folder, "*/samples", "*/histograms.jsonl", "*/loss_form.json")
    return {"finals", "samples", "forms"}


def no_metrics(folder: Path) -> set[str]:
    make_run(folder / "a", metrics={})
    return {"finals"}


def no_pictures(folder: Path) -> set[str]:
    none_of(make_sweep(folder, 2), "*/samples")
    return {"samples"}


def no_histograms(folder: Path) -> set[str]:
    none_of(make_sweep(folder, 2), "*/histograms.jsonl")
    return set()


def no_forms(folder: Path) -> set[str]:
    none_of(make_sweep(folder, 2), "*/loss_form.json")
    return set()


def ended_badly(folder: Path) -> set[str]:
    """One of each, beside two that went well; and rows of one iteration only."""
    make_sweep(folder, 2)
    for seed, (status, reason) in enumerate(
        [("failed", "no memory"), ("diverged", "NaN"), ("stopped", None), (None, None)]
    ):
        make_run(
            folder / f"{status}", "saturating", 2 + seed, metrics={}, status=status, reason=reason, rows=1 + 3 * seed
        )
    make_run(folder / "no rows", "saturating", 9, metrics={}, status="failed", reason="at once", rows=0)
    return set()


def three_levels(folder: Path) -> set[str]:
    for loss in ("saturating", "nonsaturating", "wgan"):
        for seed in range(2):
            make_run(folder / f"{loss}{seed}", loss, seed)
    return set()


def loss_by_k(folder: Path) -> set[str]:
    for loss in ("saturating", "nonsaturating"):
        for k in (1, 5, 10):
            make_run(folder / f"{loss}{k}", loss, 0, k, penalty={"weight": {1: 1e-4, 5: 2e-5, 10: 0.0005}[k]})
    return set()


def k_of_one_form(folder: Path) -> set[str]:
    for k in (1, 2, 5):
        make_run(folder / f"{k}", "wgan", 0, k)
    return set()


def no_log_odds(folder: Path) -> set[str]:
    """Losses without a D(x): nothing over D(x) is there, and the logits are."""
    for loss in ("wgan", "hinge"):
        for seed in range(2):
            make_run(folder / f"{loss}{seed}", loss, seed, log_odds=False)
    return set()


KINDS = [
    nothing_but_rows, ended_badly, loss_by_k, one_run, one_level, no_metrics, no_pictures, no_histograms, no_forms,
    three_levels, k_of_one_form, no_log_odds,
]  # fmt: skip


@pytest.mark.slow
def test_panels_of_d_of_x_are_left_out_where_no_run_logs_it(show: Callable[..., Page], tmp_path: Path):
    """Beside a run of a cross-entropy they are there, with that run alone."""
    no_log_odds(tmp_path / "runs")
    page = show(write(tmp_path / "runs"))
    assert texts(page, "#form-panels figcaption") == ["Size of its slope against D's logit"]
    sections = texts(page, "#curve-groups summary")
    assert "Logits of D" in sections
    assert "D(x) and D(G(z))" not in sections
    assert not any("nats" in caption for caption in texts(page, "#curve-groups figcaption"))
    make_run(tmp_path / "runs" / "saturating", "saturating")
    page = show(write(tmp_path / "runs"))
    assert len(texts(page, "#form-panels figcaption")) == 2
    assert "D(x) and D(G(z))" in texts(page, "#curve-groups summary")


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS, ids=lambda kind: kind.__name__)
def test_whatever_there_is(show: Callable[..., Page], tmp_path: Path, make: Callable[[Path], set[str]]):
    """Sections without anything to show are hidden, with their links; the rest is drawn, in colours that differ."""
    hidden = make(tmp_path / "runs")
    page = show(write(tmp_path / "runs"))
    gone = page.eval_on_selector_all("section[hidden]", "(all) => all.map((one) => one.id)")
    links = page.eval_on_selector_all("nav a[hidden]", "(all) => all.map((one) => one.hash.slice(1))")
    assert set(gone) == set(links) == hidden
    assert blank(page) == []
    names = "[...data.levels, ...data.loss_forms.map((form) => form.name)]"
    colours = page.evaluate(f"Object.fromEntries({names}.map((name) => [name, colour(name)]))")
    assert len(set(colours.values())) == len(colours)
    assert colours.get("nonsaturating", BLUE) == BLUE
    assert colours.get("saturating", ORANGE) == ORANGE


@pytest.mark.slow
def test_differences_of_configs(show: Callable[..., Page], tmp_path: Path):
    """They stand out in columns of their own, and are sorted as the numbers that they are."""
    loss_by_k(tmp_path / "runs")
    page = show(write(tmp_path / "runs"))
    for name, order in (
        ("k", ["1", "1", "5", "5", "10", "10"]),
        ("penalty.weight", ["2e-05"] * 2 + ["0.0001"] * 2 + ["0.0005"] * 2),
    ):
        page.locator("#run-table").get_by_role("columnheader", name=name, exact=True).get_by_role("button").click()
        assert column(page, name) == order
    cells = page.locator("#run-table td.differs")
    assert cells.count() == 12
    plain = page.eval_on_selector("#run-table td", "(cell) => getComputedStyle(cell).backgroundColor")
    assert cells.first.evaluate("(cell) => getComputedStyle(cell).backgroundColor") != plain


@pytest.mark.slow
def test_a_run_that_failed_is_hollow(show: Callable[..., Page], tmp_path: Path):
    """It finished, and its values count; but it has lost the modes."""
    make_sweep(tmp_path / "runs", 2)
    make_run(tmp_path / "runs" / "lost", "saturating", 2, metrics={FD: 90.0, RECALL: 0.01})
    page = show(write(tmp_path / "runs"))
    draw_all(page)
    marks = page.eval_on_selector("#final-panels .plot", "(plot) => plot.data.flatMap((t) => t.marker?.symbol ?? [])")
    assert marks == ["circle", "circle", "circle", "square", "square", "square-open", "square"]


def test_a_failed_run_is_not_called_finished(show: Callable[..., Page], tmp_path: Path):
    """Its training finished without modes: the table said "finished", in red. The download has both."""
    make_sweep(tmp_path / "runs", 1)
    make_run(tmp_path / "runs" / "lost", "saturating", 1, metrics={FD: 90.0, RECALL: 0.01})
    make_run(tmp_path / "runs" / "killed", "saturating", 2, metrics={}, status=None)
    page = show(write(tmp_path / "runs"))
    status = dict(zip(column(page, "run"), column(page, "status"), strict=True))
    assert status["lost"] == "failed"
    assert status["killed"] == "unfinished"
    assert {name: text for name, text in status.items() if "=" in name} == dict.fromkeys(
        ("loss=nonsaturating", "loss=saturating"), "finished"
    )
    assert page.locator("#run-table td.bad").all_text_contents() == ["failed"]
    remarks = dict(zip(column(page, "run"), column(page, "remarks"), strict=True))
    assert remarks["lost"].startswith("modes are lost: ")


@pytest.mark.slow
def test_tables_fit_or_say_that_they_scroll(show: Callable[..., Page], tmp_path: Path):
    """Nine metrics and long names fit into 1,280 pixels; on a phone a wide table says how to see the rest."""
    names = ("fd", "kd", "high_quality", "modes", "reverse_kl", "precision", "recall", "density", "coverage")
    shared = "data=ring8,model.discriminator.hidden=[64,64],model.generator.hidden=[64,64],trainer.max_steps=300"
    for seed in (0, 1):
        for loss in ("saturating", "nonsaturating"):
            metrics = {f"{name}/points_10k": 0.00123 + seed for name in names}
            make_run(tmp_path / "runs" / f"{shared},loss={loss},seed={seed}", loss, seed, metrics=metrics)
    path = write(tmp_path / "runs")
    page = show(path)
    hint = "getComputedStyle(one, '::before').content.includes('scroll sideways')"
    assert count(page, ".scroll", "one.scrollWidth > one.clientWidth") == count(page, ".scroll", hint) == 0
    assert column(page, "run")[0] == "loss=nonsaturating,seed=0"
    page = show(path, width=390)
    page.wait_for_selector(".scroll.wide")
    assert count(page, ".scroll", f"(one.scrollWidth > one.clientWidth) !== {hint}") == 0
    assert count(page, ".scroll", hint) >= 2
    assert count(page, "caption > span", "one.getBoundingClientRect().right > 390") == 0


@pytest.mark.slow
def test_forms_have_the_same_dots_and_those_without_a_curve_are_named(show: Callable[..., Page], tmp_path: Path):
    """At b = −4 … 0 on every line; and a relativistic loss, which has no curve, is not just missing."""
    for loss in ("saturating", "nonsaturating", "relativistic"):
        make_run(tmp_path / "runs" / loss, loss)
    (tmp_path / "runs" / "relativistic" / "loss_form.json").unlink()
    page = show(write(tmp_path / "runs"))
    draw_all(page)
    dots = page.eval_on_selector_all(
        "#form-panels .plot",
        """(plots) => plots.map((plot) => plot.data.filter((t) => t.mode === "lines+markers")
          .map((t) => t.x.filter((_, n) => t.marker.size[n] > 0)))""",
    )
    b = [-4, -3, -2, -1, 0]
    assert dots[0] == [pytest.approx([1 / (1 + math.exp(-x)) for x in b])] * 2
    assert dots[1] == [b] * 2
    assert "No curve for relativistic: " in page.inner_text("#forms")
    assert "its slope is −1/(1 − D), which is −1 at D = 0" in page.inner_text("#slopes")


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
    page.wait_for_function("location.hash.includes('form-iteration') && location.hash.includes('logx')")
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
