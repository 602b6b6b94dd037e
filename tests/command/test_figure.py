"""The figure of the loss forms: its curves are the forms', its bars the runs', and it is the same bytes twice."""

import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from golden import make_run, make_sweep, write_lines
from PIL import Image

from ganduel.command.figure import COLOURS, colour_of, draw, figure, histograms_by_level, package_forms
from ganduel.compare.bundle import loss_forms, without_form
from ganduel.compare.reading import Run, read_all
from ganduel.errors import UserError

SAT, NS = "saturating", "nonsaturating"


def runs_in(*folders: Path) -> list[Run]:
    return read_all(folders)[0]


def paper_forms() -> dict[str, Any]:
    """Those of Goodfellow et al. 2014, which are all that runs of the duel have."""
    return {name: form for name, form in package_forms().items() if name in (NS, SAT)}


def at(form: Any, key: str, logit: float) -> float:
    return form[key][form["logit"].index(logit)]


def test_the_forms_of_the_package_by_hand():
    """At b = 0, where D answers 1/2: log 1/2 and −log 1/2; slopes −1/2 both. Far left one slope is gone, one is −1."""
    forms = package_forms()
    assert {NS, SAT, "hinge", "wasserstein", "least_squares", "f_divergence"} <= forms.keys()
    assert "relativistic" not in forms  # it has no term per logit
    assert {name for name, form in forms.items() if form["log_odds"]} == {NS, SAT}
    assert at(forms[SAT], "g", 0.0) == pytest.approx(-math.log(2))
    assert at(forms[NS], "g", 0.0) == pytest.approx(math.log(2))
    assert at(forms[SAT], "g_slope", 0.0) == at(forms[NS], "g_slope", 0.0) == pytest.approx(-0.5)
    assert at(forms[SAT], "g_slope", -16.0) == pytest.approx(-1 / (1 + math.exp(16)))
    assert at(forms[NS], "g_slope", -16.0) == pytest.approx(-1 / (1 + math.exp(-16)))
    assert forms[NS]["logit"] == [n / 4 for n in range(-64, 65)]


def test_levels_have_the_histograms_of_their_runs(tmp_path):
    make_sweep(tmp_path / "s", 2)
    by_level = histograms_by_level(runs_in(tmp_path), None)
    assert list(by_level) == [NS, SAT]
    assert np.argmax(by_level[SAT]["d/fake"][0]) == int(32 * 0.02)
    assert histograms_by_level([], None) == {}


def test_levels_of_strata_are_named_so_and_those_without_histograms_left_out(tmp_path):
    for k in (1, 5):
        make_run(tmp_path / f"s{k}", SAT, 0, k)
        make_run(tmp_path / f"n{k}", NS, 0, k)
    (tmp_path / "s5" / "histograms.jsonl").unlink()
    runs = runs_in(tmp_path)
    assert list(histograms_by_level(runs, None)) == [f"{NS}, k=1", f"{SAT}, k=1", f"{NS}, k=5"]
    assert list(histograms_by_level(runs, "k")) == [f"k=1, loss={NS}", f"k=5, loss={NS}", f"k=1, loss={SAT}"]


def test_what_is_drawn(tmp_path):
    """Curves above, for each level a row below; in it the samples early, midway and late."""
    runs = runs_in(make_sweep(tmp_path / "s", 1))
    canvas = draw(paper_forms(), histograms_by_level(runs, None))
    (loss, slope, *rest) = canvas.axes
    assert len(rest) == 2 * 2
    assert [line.get_label() for line in loss.lines] == [NS, SAT]
    b = np.arange(-64, 65) / 4
    for axis, x in ((loss, 1 / (1 + np.exp(-b))), (slope, b)):
        for line in axis.lines:
            assert line.get_xdata() == pytest.approx(x)
    form = package_forms()[SAT]
    assert loss.lines[1].get_ydata() == pytest.approx(form["g"])
    assert slope.lines[1].get_ydata() == pytest.approx(np.abs(form["g_slope"]))
    assert [axis.get_title() for axis in rest] == [f"samples of {NS}", "", f"samples of {SAT}", ""]
    for axis, level in zip(rest[::2], (0.4, 0.02), strict=True):
        labels = [patch.get_label() for patch in axis.patches]
        assert labels == ["early, iteration 50", "midway, iteration 250", "late, iteration 500"]
        values, edges, _ = axis.patches[0].get_data()
        assert (edges[0], edges[-1], values.sum()) == (0.0, 1.0, pytest.approx(1))
        assert edges[values.argmax()] <= level < edges[values.argmax() + 1]


def test_the_same_samples_are_marked_on_both_curves_and_the_caption_says_which_slope_vanishes():
    """A reader saw slope −1 at D = 0 for the form that is called saturating: it is flat in D's logit, on the right."""
    canvas = draw(paper_forms(), {})
    b = np.array([-4.0, -3, -2, -1, 0])
    for axis, x in zip(canvas.axes, (1 / (1 + np.exp(-b)), b), strict=True):
        for line in axis.lines:
            assert (line.get_marker(), line.get_xdata()[line.get_markevery()]) == ("o", pytest.approx(x))
    caption = " ".join(canvas.get_supxlabel().split())
    assert "its slope is −1/(1 − D), which is −1 at D = 0" in caption
    assert "in b the slope of the saturating loss is −D" in caption


def test_a_loss_without_terms_per_logit_is_named(tmp_path):
    """Relativistic losses compare pairs of logits: samples of such runs are drawn, and a line says why no curve is."""
    (make_run(tmp_path / "a", "relativistic$x$") / "loss_form.json").unlink()
    runs = runs_in(make_run(tmp_path / "b", SAT), tmp_path / "a")
    line = without_form(runs)
    assert line.startswith("No curve for relativistic$x$: such a loss has no term per logit, or ")
    assert line in " ".join(draw(package_forms(), histograms_by_level(runs, None), line).get_supxlabel().split())
    assert without_form(runs[:1]) == without_form([]) == ""
    figure("loss-forms", [str(tmp_path)], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] == 9 * 120


def test_a_form_has_its_colour_everywhere(tmp_path):
    canvas = draw(paper_forms(), histograms_by_level(runs_in(make_sweep(tmp_path / "s", 1)), None))
    lines = {line.get_label(): line.get_color() for line in canvas.axes[0].lines}
    assert lines == {NS: COLOURS[NS], SAT: COLOURS[SAT]}
    assert canvas.axes[2].patches[0].get_edgecolor()[:3] == pytest.approx(
        [int(COLOURS[NS][n : n + 2], 16) / 255 for n in (1, 3, 5)]
    )


def test_colours_of_other_names():
    names = [SAT, "a", f"{NS}, k=1", "b", "a", *"cdefgh"]
    colours = colour_of(names)
    assert colours[SAT] == COLOURS[SAT]
    assert colours[f"{NS}, k=1"] == COLOURS[NS]
    assert len({colours[name] for name in "abcde"}) == 5
    assert not {colours[name] for name in "abcde"} & set(COLOURS.values())
    assert colours.keys() == set(names)


@pytest.mark.parametrize(("name", "levels"), [("a.png", 2), ("a.svg", 0)])
def test_a_file_is_drawn_the_same_twice(tmp_path, name, levels):
    """Pixels as large as the rows below ask for; an SVG of which the bytes do not say when it was made."""
    paths = [str(make_sweep(tmp_path / "s", 1))] if levels else []
    out = [tmp_path / folder / name for folder in ("one", "two")]
    assert [figure("loss-forms", paths, path) for path in out] == out
    assert out[0].read_bytes() == out[1].read_bytes()
    if name == "a.png":
        with Image.open(out[0]) as picture:
            assert picture.size == (9 * 120, round((4.0 + levels * 2.0) * 120))
    else:
        assert ElementTree.parse(out[0]).getroot().tag.endswith("svg")


def test_without_runs_the_forms_alone_are_drawn(tmp_path):
    figure("loss-forms", [], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (round(13.5 * 120), round(4.0 * 120))


def test_forms_whose_logits_are_no_log_odds_are_over_the_logit_alone():
    """Three columns: D(G(z)) for the paper's forms, the logit for all, and the slope; steep forms stay in view."""
    canvas = draw(package_forms(), {})
    over_d, over_b, slope = canvas.axes
    assert {line.get_label() for line in over_d.lines} == {NS, SAT}
    assert [line.get_label() for line in over_b.lines] == [line.get_label() for line in slope.lines]
    assert {line.get_label() for line in slope.lines} == package_forms().keys()
    assert (over_d.get_xlabel(), over_b.get_xlabel(), over_b.get_xlim()) == ("D(G(z))", "D's logit b", (-16, 16))
    assert "nats" in over_d.get_ylabel()
    assert "nats" not in over_b.get_ylabel()
    assert slope.get_ylim()[1] == pytest.approx(1.05 * 4)
    hinge = slope.lines[list(package_forms()).index("hinge")]
    assert set(hinge.get_ydata()) == {1.0}
    alone = draw({"hinge": package_forms()["hinge"]}, {})
    assert [axis.get_xlabel() for axis in alone.axes] == ["D's logit b"] * 2
    assert "sigmoid" not in alone.get_supxlabel()
    assert "saturating" not in alone.get_supxlabel()


def test_histograms_of_another_form_or_none(tmp_path):
    """A key that is missing leaves its axes out; a single row is early, midway and late at once."""
    folder = make_run(tmp_path / "a", "mine")
    write_lines(folder / "histograms.jsonl", [{"iteration": 7, "logit/fake": [1, 0, 3]}])
    (folder / "loss_form.json").write_text(
        json.dumps({"name": "x", "log_odds": True, "logit": [-900.0, 900.0], "g": [1, 2], "g_slope": [0, 1]})
    )
    runs = runs_in(folder)
    canvas = draw({**paper_forms(), **loss_forms(runs)}, histograms_by_level(runs, None))
    assert [len(axis.patches) for axis in canvas.axes[2:]] == [0, 3]
    assert [axis.axison for axis in canvas.axes[2:]] == [False, True]
    assert canvas.axes[3].patches[0].get_data()[0].tolist() == [0.25, 0, 0.75]
    figure("loss-forms", [str(folder)], tmp_path / "a.png")


def test_a_loss_without_d_of_x_has_a_row_of_logits_alone(tmp_path):
    folder = make_run(tmp_path / "a", "wasserstein", log_odds=False)
    row = draw(paper_forms(), histograms_by_level(runs_in(folder), None)).axes[2:]
    assert [(len(axis.patches), axis.axison) for axis in row] == [(0, False), (3, True)]
    assert row[0].get_title() == "samples of wasserstein"
    assert len(row[1].get_legend().get_texts()) == 3
    figure("loss-forms", [str(folder)], tmp_path / "a.svg")


@pytest.mark.parametrize("name", ["a", "a.jpg", "a.pdf"])
def test_a_name_that_says_no_format(tmp_path, name):
    with pytest.raises(UserError, match=rf"-o {name} says no format. Give a file that ends in .png or .svg."):
        figure("loss-forms", [], Path(name))


def test_folders_without_a_run_say_why(tmp_path):
    with pytest.raises(UserError, match=r"there is no run to draw\. .*: empty"):
        figure("loss-forms", [str(tmp_path)], Path("a.png"))
    with pytest.raises(UserError, match="gone is neither a folder nor a pattern"):
        figure("loss-forms", ["gone"], Path("a.png"))


def test_a_factor_that_is_none(tmp_path):
    make_sweep(tmp_path / "s", 1)
    with pytest.raises(UserError, match=r"--factor los is not in the runs' configs\. Did you mean loss\?"):
        figure("loss-forms", [str(tmp_path / "s")], tmp_path / "a.png", "los")
    assert not (tmp_path / "a.png").exists()
