"""Pages of whatever a folder holds: what is not there is left out, and the rest is drawn."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from golden import FD, RECALL, make_run, make_sweep
from page_reader import BLUE, ORANGE, blank, column, count, draw_all, texts, write
from playwright.sync_api import Page


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
    assert texts(page, "#form-panels figcaption") == [
        "G's loss against D's logit",
        "Size of its slope against D's logit",
    ]
    sections = texts(page, "#curve-groups summary")
    assert "Logits of D" in sections
    assert "D(x) and D(G(z))" not in sections
    assert not any("nats" in caption for caption in texts(page, "#curve-groups figcaption"))
    make_run(tmp_path / "runs" / "saturating", "saturating")
    page = show(write(tmp_path / "runs"))
    assert len(texts(page, "#form-panels figcaption")) == 3
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


@pytest.mark.slow
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
