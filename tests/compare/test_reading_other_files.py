"""What is read beside the rows: protocols, histograms, pictures and loss forms."""

import json
import math
from pathlib import Path

import pytest
from golden import FD, counts, form, make_run, write_lines

from ganduel.compare.reading import Run, read


def run_of(folder: Path) -> Run:
    result = read(folder)
    assert isinstance(result, Run), result
    return result


def append(path: Path, *lines: str) -> None:
    path.write_text(path.read_text() + "\n".join(lines) + "\n")


def test_the_last_protocol_counts(tmp_path):
    folder = make_run(tmp_path / "a")
    append(folder / "protocols.jsonl", json.dumps({"iteration": 400, "metric": FD, "hash": "new"}), "{}", "[1]")
    assert run_of(folder).protocols[FD]["hash"] == "new"


def test_histograms_out_of_order_or_made_again(tmp_path):
    """They are in the order of iterations; of two rows of an iteration the later one is there alone."""
    folder = make_run(tmp_path / "a")
    rows = [counts(100, 0.2), counts(50, 0.3), counts(50, 0.4), {"iteration": None, "d/real": [1]}]
    write_lines(folder / "histograms.jsonl", rows)
    histograms = run_of(folder).histograms
    assert histograms["iteration"].tolist() == [50, 100]
    assert histograms["d/fake"].argmax(1).tolist() == [int(32 * 0.4), int(32 * 0.2)]


@pytest.mark.parametrize("bad", [[1, 2], None, "x", [[1] * 32], [math.nan] * 32, [10**400] * 32, ["x"] * 32])
def test_of_a_key_whose_histograms_are_none_only_the_others_are_kept(tmp_path, bad):
    folder = make_run(tmp_path / "a")
    write_lines(folder / "histograms.jsonl", [counts(1, 0.2), {**counts(50, 0.3), "d/fake": bad}])
    histograms = run_of(folder).histograms
    assert histograms["d/real"].shape == (2, 32)
    assert "d/fake" not in histograms


def test_pictures_of_other_names_are_not_taken(tmp_path):
    folder = make_run(tmp_path / "a")
    for name in ("iteration_00000100 (copy).png", "iteration_1_2x.png", "iteration_³.png", "iteration_200.jpg"):
        (folder / "samples" / name).write_bytes(b"")
    (folder / "samples" / "iteration_00000250.png").mkdir()
    assert sorted(run_of(folder).pictures) == [0, 500]


def test_a_world_of_known_density_shows_samples_over_d(tmp_path):
    """Unless it has grids too."""
    folder = make_run(tmp_path / "a")
    plot = (folder / "samples" / "real.png").read_bytes()
    (folder / "samples" / "theory_00000077.png").write_bytes(plot)
    assert sorted(run_of(folder).pictures) == [0, 500]
    for path in (folder / "samples").glob("*.png"):
        path.unlink()
    (folder / "samples" / "theory_00000100.png").write_bytes(plot)
    run = run_of(folder)
    assert (list(run.pictures), run.stills) == ([100], {})


@pytest.mark.parametrize(
    "change",
    [{"g": "x"}, {"g": None}, {"g": [1.0]}, {"g": [[1.0]] * 33}, {"logit": []}, {"g_slope": {}}, {"g": [10**400] * 33}],
)
def test_a_loss_form_that_is_none_is_left_out(tmp_path, change):
    folder = make_run(tmp_path / "a")
    (folder / "loss_form.json").write_text(json.dumps({**form("saturating"), **change}))
    assert run_of(folder).loss_form is None


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"name": "x"}'])
def test_a_file_of_no_loss_form(tmp_path, text):
    folder = make_run(tmp_path / "a")
    (folder / "loss_form.json").write_text(text)
    assert run_of(folder).loss_form is None
