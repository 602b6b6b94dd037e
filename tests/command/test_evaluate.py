"""`ganduel evaluate`: from runs and checkpoints to a table or JSON, and one line for what cannot be."""

import io
import json
import math

import pytest
import torch
from rich.console import Console

from ganduel import cli
from ganduel.callback.save import Save
from ganduel.command.evaluate import evaluate
from ganduel.data.ring8 import Ring8
from ganduel.factory.data import build_data
from ganduel.factory.gan import build_gan
from ganduel.metric.evaluation import Evaluation, Value
from ganduel.metric.frechet import FrechetDistance

ARGUMENTS = ["--metrics", "frechet", "modes", "--samples", "80", "--device", "cpu"]


@pytest.fixture
def train(fit, tiny, tmp_path):
    """A function that trains a tiny GAN on the ring in a folder of the given name."""

    def train(name, *words, trainer=None):
        config = tiny("data=ring8", *words)
        gan = build_gan(config, build_data(config))
        folder = tmp_path / name
        fit(callbacks=[Save(folder / "checkpoints", 3, config)], gan=gan)
        return folder, gan

    return train


def answer(capsys, *words):
    cli.main(["evaluate", *map(str, words)])
    return capsys.readouterr().out


def error(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", *map(str, words)])
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_json_has_values_floors_and_protocols(train, capsys):
    folder, gan = train("run")
    found = json.loads(answer(capsys, folder, *ARGUMENTS, "--json"))
    (row,) = found["runs"]
    assert (row["path"], row["iteration"], row["weights"]) == (str(folder), 6, "the average of G")
    fd = row["metrics"]["fd/points_80"]
    expected = Evaluation(Ring8(), [FrechetDistance(samples=80)])(gan.ema.net)["fd/points_80"]
    assert (fd["value"], fd["floor"], fd["error"]) == (pytest.approx(expected.value), expected.floor, None)
    assert found["protocols"]["fd/points_80"]["hash"] == fd["hash"]
    assert fd["higher_is_better"] is False


def test_json_has_null_for_a_value_that_is_no_number(train, capsys, monkeypatch):
    """NaN and Infinity, which Python writes, are no JSON to anything else."""
    folder, _ = train("run")
    values = {"fd/points_80": Value(math.nan, math.inf, None, False, "aaaa1111")}
    monkeypatch.setattr(Evaluation, "__call__", lambda *_: values)
    printed = answer(capsys, folder, *ARGUMENTS, "--json")
    metric = json.loads(printed)["runs"][0]["metrics"]["fd/points_80"]
    assert (metric["value"], metric["floor"]) == (None, None)


def test_live_weights_and_a_checkpoint_by_its_path(train, capsys):
    folder, gan = train("run")
    path = folder / "checkpoints" / "iteration_00000000.ckpt"
    first = json.loads(answer(capsys, path, *ARGUMENTS, "--json"))["runs"][0]
    last = json.loads(answer(capsys, folder, *ARGUMENTS, "--live", "--json"))["runs"][0]
    assert (first["iteration"], last["iteration"]) == (0, 6)
    expected = Evaluation(Ring8(), [FrechetDistance(samples=80)])(gan.generator)["fd/points_80"].value
    assert last["metrics"]["fd/points_80"]["value"] == pytest.approx(expected)


def test_draws_give_errors(train, capsys):
    folder, _ = train("run")
    found = json.loads(answer(capsys, folder, *ARGUMENTS, "--draws", "3", "--json"))
    assert found["runs"][0]["metrics"]["fd/points_80"]["error"] > 0


@pytest.mark.parametrize("runs", [1, 4])
def test_table_names_runs_keys_and_floor(train, runs):
    """Metrics are the rows for a run or two, and the columns for many."""
    folders = [train(f"run{seed}", f"seed={seed}")[0] for seed in range(runs)]
    text = io.StringIO()
    evaluate(folders, ["frechet", "modes"], samples=80, device="cpu", console=Console(file=text, width=160))
    for word in ("fd/", "reverse_kl/", "points_80", "floor", *(folder.name for folder in folders)):
        assert word in text.getvalue()


def sweep_of(train, tmp_path):
    """Four runs, a file of the sweep's, and a run that has no checkpoint, as one that failed at its start."""
    for seed in range(4):
        train(f"sweep/loss=saturating,model.hidden=[8,{8 + seed // 2}],seed={seed}", f"seed={seed}")
    (tmp_path / "sweep" / "multirun.yaml").write_text("a: 1")
    (tmp_path / "sweep" / "failed").mkdir()
    (tmp_path / "sweep" / "failed" / "config.yaml").write_text("seed: 9")
    return tmp_path / "sweep"


def test_a_sweep_is_its_runs(train, tmp_path, caplog, capsys):
    """SWEEP, and SWEEP/* with whatever else is there; a run that is named twice is measured once."""
    sweep = sweep_of(train, tmp_path)
    runs = [str(path) for path in sorted(sweep.glob("loss*"))]
    for paths in ([sweep], [*sorted(sweep.iterdir())], [sweep, runs[0]]):
        caplog.clear()
        found = json.loads(answer(capsys, *paths, *ARGUMENTS, "--json"))["runs"]
        assert sorted(run["path"] for run in found) == runs
        assert f"left out: {sweep / 'failed'} has no checkpoint" in caplog.text
        assert ("multirun.yaml is no checkpoint" in caplog.text) == (len(paths) > 2)
    assert "multirun.yaml is not a readable checkpoint" in error(capsys, sweep / "multirun.yaml")


def test_a_table_of_many_metrics_fits_80_columns(train, tmp_path):
    """It was cut off at the right: here it goes on below, with all metrics and the parts that the names differ in."""
    sweep = sweep_of(train, tmp_path)
    console = Console(file=io.StringIO(), width=80)
    evaluate([sweep], ["frechet", "modes", "neighbours"], samples=80, device="cpu", console=console)
    text = console.file.getvalue()
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    tops = [line for line in lines if line.startswith("┏")]
    assert all(line.endswith("┓") for line in tops)
    headings = " ".join(line for line in lines if line.startswith("┃"))
    for quantity in ("fd", "modes", "high_quality", "reverse_kl", "precision", "recall", "density", "coverage"):
        assert headings.count(f" {quantity}/ ") == 1
    for seed in range(4):
        assert text.count(f"model.hidden=[8,{8 + seed // 2}],seed={seed}") == len(tops) > 1
    assert "saturating" not in text


def test_runs_own_metrics_unless_named(train, capsys):
    folder, _ = train("run", "metric=[kernel]", "metric.kernel.samples=70")
    found = json.loads(answer(capsys, folder, "--json"))["runs"][0]["metrics"]
    assert list(found) == ["kd/points_70"]


def test_bad_input_is_one_line(train, capsys, tmp_path):
    folder, _ = train("run")
    other, _ = train("other", "data.preset=pacgan")
    assert "nowhere does not exist. Give the folder of a run" in error(capsys, "nowhere")
    assert "there is no metric frecht. Did you mean frechet or intra_frechet?" in error(
        capsys, folder, "--metrics", "frecht"
    )
    said = error(capsys, folder, "--metrics", "parzen")
    assert "parzen does not fit Ring8: it has no validation images. These fit: modes, frechet, kernel" in said
    said = error(capsys, folder, other, *ARGUMENTS)
    assert "were trained on different data (Ring8 preset=veegan" in said
    assert said.count("\n") == 1
    conditional, _ = train("conditional", "condition=concat")
    said = error(capsys, conditional, folder, *ARGUMENTS)
    assert "were trained with other classes (8; none). Evaluate them apart" in said
    assert "draws=0 must be at least 1" in error(capsys, folder, *ARGUMENTS, "--draws", "0")
    assert "metric.frechet.samples=1" in error(capsys, folder, "--metrics", "frechet", "--samples", "1")
    assert "k=3 must be from 1 to 2" in error(capsys, folder, "--metrics", "neighbours", "--samples", "3")
    (tmp_path / "empty").mkdir()
    assert "has no checkpoint" in error(capsys, tmp_path / "empty")


def test_generator_that_gives_nan(train, capsys):
    folder, _ = train("run")
    path = folder / "checkpoints" / "last.ckpt"
    saved = torch.load(path, weights_only=True)
    saved["state_dict"] = {k: torch.full_like(v, torch.nan) for k, v in saved["state_dict"].items()}
    torch.save(saved, path)
    assert "G gives NaN or infinity: the run diverged" in error(capsys, folder, *ARGUMENTS)
