"""Pages of comparisons, and a reader who opens them without a network and looks at what they show."""

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from golden import FD, RECALL, config, make_run, write_lines
from PIL import Image
from playwright.sync_api import Browser, Page

from ganduel.compare.analysis import analyse
from ganduel.compare.page import write_page
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import read_all

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = os.environ.get("GANDUEL_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
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
