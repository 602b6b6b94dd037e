"""Pages that everyone can read and operate, with text that stays text."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from page_reader import FORMULA, IMAGE, OPEN, SCRIPT, TEMPLATE, column, count, draw_all, texts
from playwright.sync_api import Page

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
