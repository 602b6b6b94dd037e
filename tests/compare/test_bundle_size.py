"""What the page gets of links, rows and histograms: exact where it is shown, and few enough of it."""

import json
import math
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from duels import NS, SAT
from golden import FD, RECALL, config, counts, form, make_run, row, write_lines
from hypothesis import given
from hypothesis import strategies as st

from ganduel.compare.analysis import analyse
from ganduel.compare.bundle import FRAMES, NUMBERS, POINTS, bundle, histogram_frames, histograms, link, loss_forms
from ganduel.compare.columns import to_columns
from ganduel.compare.curves import downsample
from ganduel.compare.pairing import arrange
from ganduel.compare.pictures import PICTURES
from ganduel.compare.reading import Run, read, read_all


def of(*folders: Path, page: Path = Path("duel.html")) -> dict[str, Any]:
    """The bundle of the runs in folders, as the page reads it."""
    runs, aside = read_all(folders)
    page_data = bundle(analyse(arrange(runs)), aside, page)
    return json.loads(json.dumps(page_data, allow_nan=False))


def run_of(rows: list[dict[str, Any]], loss: str = SAT, seed: int = 0, **more: Any) -> Run:
    curves, last = to_columns(rows)
    return Run(Path(f"/runs/{loss}-{seed}"), config(loss, seed), "finished", curves=curves, last=last, **more)


@pytest.mark.parametrize(
    "name", ["javascript:alert(1)", "data:text,x", "a b", "a#b?c", 'x"><script>', "é", "a%2e", "..."]
)
def test_links_are_relative_whatever_a_folder_is_called(tmp_path, name):
    folder = tmp_path / name
    href = link(folder, tmp_path / "duel.html")
    assert href.startswith("./")
    assert unquote(href) == f"./{name}/"
    assert not set(href) & set("\"'<> #?:")


def test_links_lead_from_the_page_to_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert link(Path("runs/a"), Path("pages/duel.html")) == "./../runs/a/"
    assert link(tmp_path / "runs" / "a", Path("duel.html")) == "./runs/a/"


# ---- thinning


def test_a_metric_that_comes_seldom_keeps_all_its_rows():
    """2,000 rows, of which 20 have FD: of the run and of its level none is lost, though six of seven rows are."""
    rows = [{**row(50 * n, 0.3), **({FD: float(n)} if n % 100 == 0 else {})} for n in range(1, 2001)]
    run = run_of(rows)
    expected = [50 * n for n in range(100, 2001, 100)]
    assert downsample(run, [FD], POINTS)[FD] == {"at": expected, "y": [n / 50 for n in expected]}
    group = bundle(analyse(arrange([run])), [], Path("x.html"))["groups"][0]
    at = group["curves"][FD]["at"]
    assert [group["x"]["iteration"][place] for place in at] == expected
    assert group["curves"][FD]["mean"] == [n / 50 for n in expected]
    assert group["curves"]["d/fake"]["at"][-1] == len(group["x"]["iteration"]) - 1


def test_iterations_and_images_are_exact():
    """Of 123,457 a page may show 123,457 or nothing; four digits would put three rows at one place."""
    rows = [
        {"iteration": n, "images_seen": 128 * n, "seconds": n / 7, "a": 1.0} for n in (1, 123_456, 123_457, 123_459)
    ]
    rows.append({"iteration": 123_459, FD: 3.0})
    page_data = bundle(analyse(arrange([run_of(rows)])), [], Path("x.html"))
    expected = [1, 123_456, 123_457, 123_459]
    (group,), (run,) = page_data["groups"], page_data["runs"]
    for x in (group["x"], run["curves"]):
        assert x["iteration"] == expected
        assert x["images_seen"] == [128 * n for n in expected]
    assert run["curves"][FD]["at"] == [123_459]


def test_curves_of_a_level_are_thinned_by_leaving_out():
    """Means over runs, at iterations that were logged: never over iterations."""
    runs = [run_of([{"iteration": n, "a": float(n**2 + seed)} for n in range(1000)], seed=seed) for seed in (0, 2)]
    group = bundle(analyse(arrange(runs)), [], Path("x.html"))["groups"][0]
    x = [group["x"]["iteration"][place] for place in group["curves"]["a"]["at"]]
    assert (len(x), x[0], x[-1]) == (POINTS, 0, 999)
    assert group["curves"]["a"]["mean"] == [pytest.approx(n**2 + 1, rel=5e-4) for n in x]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=500, unique=True))
def test_frames_of_histograms(iterations):
    values = np.array(sorted(iterations))
    frames = histogram_frames(values)
    assert len(frames) <= max(FRAMES, 1)
    assert (frames[0], frames[-1]) == (values[0], values[-1])
    assert np.isin(frames, values).all()
    assert (np.diff(frames) > 0).all()


def test_levels_whose_runs_ended_at_different_times(tmp_path):
    """The mean is over the runs that are still there."""
    runs = [run_of([{"iteration": n, "a": float(seed)} for n in range(1, 3 + seed)], seed=seed) for seed in (0, 1, 2)]
    group = bundle(analyse(arrange(runs)), [], Path("x.html"))["groups"][0]
    assert group["x"]["iteration"] == [1, 2, 3, 4]
    assert group["curves"]["a"]["mean"] == [1.0, 1.0, 1.5, 2.0]


# ---- histograms


def test_histograms_are_shares_of_all_runs_samples(tmp_path):
    """Two runs, in other bins: half each; the first ends at 50, and its last counts stay."""
    rows = [[counts(1, 0.2), counts(50, 0.3)], [counts(1, 0.8), counts(50, 0.8), counts(100, 0.9)]]
    runs = []
    for seed, own in enumerate(rows):
        folder = make_run(tmp_path / str(seed), seed=seed)
        write_lines(folder / "histograms.jsonl", own)
        runs.append(read(folder))
    proportions = histograms(runs)
    assert proportions["iteration"] == [1, 50, 100]
    for n, (one, two) in enumerate([(0.2, 0.8), (0.3, 0.8), (0.3, 0.9)]):
        shares = np.array(proportions["d/fake"][n])
        assert shares.sum() == pytest.approx(1)
        assert shares[[int(32 * one), int(32 * two)]].tolist() == [0.5, 0.5]


def test_histograms_that_do_not_fit_together(tmp_path):
    """Of other bins for one key: that key is left out. A run without any does not matter."""
    folders = [make_run(tmp_path / str(seed), seed=seed) for seed in range(3)]
    write_lines(folders[0] / "histograms.jsonl", [{**counts(1, 0.2), "d/fake": [1, 2, 3]}])
    (folders[1] / "histograms.jsonl").unlink()
    proportions = histograms([read(folder) for folder in folders])
    assert "d/fake" not in proportions
    assert np.array(proportions["d/real"]).shape == (11, 32)
    assert histograms([read(folders[1])]) == {}


# ---- the rest


def test_loss_forms_go_by_the_choice_that_trained_them(tmp_path):
    folders = [make_run(tmp_path / f"{loss}{seed}", loss, seed) for loss in (SAT, NS, "mine") for seed in (0, 1)]
    (folders[2] / "loss_form.json").write_text('{"name": "x"}')
    forms = {one["name"]: one for one in of(tmp_path)["loss_forms"]}
    assert sorted(forms) == ["mine", NS, SAT]
    assert forms[SAT]["logit"] == form(SAT)["logit"]
    assert forms[SAT]["g"] == pytest.approx(form(SAT)["g"], rel=1e-3)
    assert forms[SAT]["g_slope"] == pytest.approx(form(SAT)["g_slope"], rel=1e-3)


def test_a_form_on_record_without_a_choice_has_its_own_name(tmp_path):
    """The curves are all there, to the last digit; a run without a form adds none."""
    make_run(tmp_path / "a", SAT)
    folder = make_run(tmp_path / "b", "mine")
    (make_run(tmp_path / "c", "none") / "loss_form.json").unlink()
    (folder / "loss_form.json").write_text(json.dumps({**form("mine"), "name": "Own"}))
    forms = loss_forms(read_all([tmp_path])[0])
    assert sorted(forms) == ["mine", SAT]
    assert all(forms[SAT][key].tolist() == form(SAT)[key] for key in ("logit", "g", "g_slope"))
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("    loss: mine\n", ""))
    assert sorted(loss_forms(read_all([tmp_path])[0])) == ["Own", SAT]


def test_forms_of_one_choice_with_other_parameters_have_names_of_their_own(tmp_path):
    """As the levels of such a comparison have; a form that says whether its logits are log-odds is believed."""
    for target in (0.5, 1.0):
        for seed in (0, 1):
            folder = make_run(tmp_path / f"{target}{seed}", "least_squares", seed)
            config = (folder / "config.yaml").read_text()
            head, loss, rest = config.partition("loss:\n  _target_: lab.least_squares\n")
            assert loss
            (folder / "config.yaml").write_text(f"{head}{loss}  generator: {target}\n{rest}")
            values = {**form("mine"), "log_odds": False, "g": [target] * 33}
            (folder / "loss_form.json").write_text(json.dumps(values))
    page_data = of(tmp_path)
    forms = {one["name"]: one for one in page_data["loss_forms"]}
    assert [*forms] == ["least_squares (generator=0.5)", "least_squares (generator=1.0)"]
    assert [one["g"][0] for one in forms.values()] == [0.5, 1.0]
    assert not any(one["log_odds"] for one in forms.values())


def test_floors_are_of_the_runs_that_have_one(tmp_path):
    make_run(tmp_path / "a", metrics={FD: 3.0})
    folder = make_run(tmp_path / "b", seed=1, metrics={FD: 3.0})
    text = (folder / "metrics.jsonl").read_text().replace(f'"{FD}/floor": 2.0', f'"{FD}/floor": NaN')
    (folder / "metrics.jsonl").write_text(text)
    assert of(tmp_path)["floors"] == {FD: 2.0}


# ---- size


PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from ganduel.compare.analysis import analyse
from ganduel.compare.bundle import bundle
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import read_all

times = [time.perf_counter()]
runs, aside = read_all([sys.argv[1]])
times.append(time.perf_counter())
found = analyse(arrange(runs))
times.append(time.perf_counter())
made = bundle(found, aside, Path(sys.argv[2]))
times.append(time.perf_counter())
Path(sys.argv[2]).write_text(json.dumps(made, allow_nan=False, ensure_ascii=False, separators=(",", ":")))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps([[b - a for a, b in zip(times, times[1:])], peak]))
"""


@pytest.mark.slow
def test_many_long_runs(tmp_path, capsys):
    """200 runs of 2,000 rows: what the page gets stays small. Times and memory are printed, for a reader to judge."""
    write_lines(tmp_path / "histograms.jsonl", [counts(50 * n + 1, 0.3) for n in range(2000)])
    for seed in range(50):
        rows = [row(50 * n + 1, 0.3 + 0.1 * math.sin(n + seed)) for n in range(2000)]
        for n in range(99, 2000, 100):
            rows[n] |= {FD: 40.0 - n / 100 + seed, RECALL: n / 4000, f"{FD}/floor": 2.0}
        write_lines(tmp_path / f"{seed}.jsonl", rows)
    for loss, k, seed in product((SAT, NS), (1, 2), range(50)):
        folder = make_run(tmp_path / "runs" / f"{loss},{k},{seed}", loss, seed, k)
        shutil.copy(tmp_path / f"{seed}.jsonl", folder / "metrics.jsonl")
        shutil.copy(tmp_path / "histograms.jsonl", folder)
        for n in range(0, 100_000, 5000):
            content = f"{loss}{k}{seed}{n}".encode().ljust(20_000, b".")
            (folder / "samples" / f"iteration_{n:08d}.png").write_bytes(content)
    words = [sys.executable, "-c", PROGRAM, str(tmp_path / "runs"), str(tmp_path / "data.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=180)
    seconds, peak = json.loads(done.stdout)
    text = (tmp_path / "data.json").read_text()
    data = json.loads(text)
    shown = sum(len(image) for image in data["images"])
    curves = [own["y"] if isinstance(own, dict) else own for run in data["runs"] for own in run["curves"].values()]
    assert len(data["runs"]) == 200
    assert all(len(own["y"]) == 20 for run in data["runs"] for key, own in run["curves"].items() if key == FD)
    assert shown <= 4 / 3 * PICTURES + 100 * len(data["images"])
    assert sum(map(len, curves)) <= 1.2 * NUMBERS
    assert len(text) - shown < 10e6
    with capsys.disabled():
        read_s, analysed_s, bundled_s = seconds
        print(
            f"\n200 runs of 2,000 rows: read {read_s:.1f} s, analysed {analysed_s:.1f} s, bundled {bundled_s:.1f} s; "
        )
        print(f"{len(text) / 1e6:.1f} MB of JSON, {shown / 1e6:.1f} MB of them pictures; {peak:.0f} MB at the peak")


def test_a_level_of_runs_without_rows_is_there(tmp_path):
    """Both of its runs diverged in iteration 1."""
    for seed in range(2):
        make_run(tmp_path / f"a{seed}", "nonsaturating", seed)
        make_run(tmp_path / f"b{seed}", seed=seed, status="diverged", reason="NaN", rows=0, metrics={})
    runs, aside = read_all([tmp_path])
    page_data = bundle(analyse(arrange(runs)), aside, tmp_path / "duel.html")
    json.dumps(page_data, allow_nan=False)
    assert [(cell["level"], cell["failures"]["count"]) for cell in page_data["cells"]] == [
        ("nonsaturating", 0), ("saturating", 2)
    ]  # fmt: skip
    assert [run["failure"] for run in page_data["runs"]] == [None, None, "diverged: NaN", "diverged: NaN"]
