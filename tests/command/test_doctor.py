"""`ganduel doctor`: what is found is printed, as a table or JSON, and told by the exit code."""

import json
from pathlib import Path

import pytest
import torch
from golden import make_run
from toy_runs import train
from toys import part

from ganduel import cli

SOUND = ("data=ring8", "callback=[statistics]", "tracking=none", "trainer.max_steps=2")


def printed(capsys, *words) -> tuple[int, str]:
    """The exit code, and what is printed."""
    code = 0
    try:
        cli.main(["doctor", *map(str, words)])
    except SystemExit as ended:
        code = int(ended.code or 0)
    return code, capsys.readouterr().out


def found(capsys, *words) -> list[str]:
    """The names of what is found in a single run."""
    (run,) = json.loads(printed(capsys, *words, "--json")[1])["runs"]
    return [finding["name"] for finding in run["findings"]]


def test_a_sweep_has_a_line_per_run(tmp_path, capsys):
    make_run(tmp_path / "sweep" / "good")
    make_run(tmp_path / "sweep" / "bad", status="diverged", reason="G's loss became nan in iteration 7; the run ends.")
    (tmp_path / "sweep" / "empty").mkdir()
    code, text = printed(capsys, tmp_path / "sweep")
    assert code == 1
    assert f"{tmp_path / 'sweep' / 'good'} (500 iterations): sound\n" in text
    assert f"{tmp_path / 'sweep' / 'bad'} (500 iterations): 1 error\n" in text
    assert "nan in iteration 7" in text
    assert f"left out: {tmp_path / 'sweep' / 'empty'}: empty\n" in text


def test_sound_runs_end_with_0(tmp_path, capsys):
    make_run(tmp_path / "good")
    assert printed(capsys, tmp_path / "good") == (0, f"{tmp_path / 'good'} (500 iterations): sound\n")


def test_json(tmp_path, capsys):
    make_run(tmp_path / "bad", status="failed", reason="no room")
    code, text = printed(capsys, tmp_path / "bad", "--json")
    (run,) = json.loads(text)["runs"]
    assert (code, run["path"], run["iteration"], run["sound"]) == (1, str(tmp_path / "bad"), 500, False)
    (finding,) = run["findings"]
    assert (finding["name"], finding["severity"], finding["evidence"]) == (
        "failed", "error", "no room (last row: iteration 500)",
    )  # fmt: skip


def test_what_to_type_is_on_one_line(tmp_path, capsys, monkeypatch):
    """As wide as it is, on a terminal of 80 columns too: it was folded within a path."""
    monkeypatch.setenv("COLUMNS", "80")
    folder = make_run(tmp_path / ("long" * 20), status="stopped", reason="SIGTERM")
    command = f"ganduel train resume={folder} goes on."
    assert printed(capsys, folder)[1].splitlines()[1:] == ["  stopped: SIGTERM after iteration 500", f"    {command}"]


def test_a_folder_without_a_run_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor", str(tmp_path)])
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: there is no run to look at. {tmp_path}: empty\n"


def test_the_networks_are_looked_at(tmp_path, tiny, capsys, monkeypatch):
    """Both of them: a limit below torch's default finds every norm."""
    train(tmp_path / "run", tiny(*SOUND, "model.generator.norm=batch", "model.discriminator.norm=batch"))
    assert found(capsys, tmp_path / "run") == []
    monkeypatch.setattr("ganduel.doctor.networks.LARGE_EPS", 1e-6)
    assert found(capsys, tmp_path / "run") == ["eps taken for momentum"] * 2


def test_the_weights_are_looked_at(tmp_path, tiny, capsys):
    train(tmp_path / "run", tiny(*SOUND, "model.generator.norm=batch"))
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    for key, value in checkpoint["state_dict"].items():
        if key.startswith("ema.net.") and key.endswith("num_batches_tracked"):
            value.zero_()
    torch.save(checkpoint, path)
    assert found(capsys, tmp_path / "run") == ["average without BatchNorm's buffers"]


def test_the_data_are_looked_at_if_they_are_trusted(tmp_path, tiny, capsys):
    """User classes are not built otherwise; the rest is examined all the same."""
    train(tmp_path / "run", tiny(*SOUND) | {"data": part("TwiceTheSame")})
    assert found(capsys, tmp_path / "run", "--trust") == ["samples repeat"]
    code, text = printed(capsys, tmp_path / "run", "--json")
    ((finding,),) = [run["findings"] for run in json.loads(text)["runs"]]
    assert (code, finding["name"], finding["severity"]) == (0, "the data: not looked at", "note")
    assert "add --trust" in finding["evidence"]


def test_what_was_not_measured_is_said_where_it_can_be(tmp_path, tiny, capsys):
    train(tmp_path / "run", tiny("callback=[statistics]", "tracking=none", "trainer.max_steps=2"))
    code, text = printed(capsys, tmp_path / "run", "--json")
    ((finding,),) = [run["findings"] for run in json.loads(text)["runs"]]
    assert (code, finding["name"], finding["severity"]) == (0, "memorisation", "note")
    assert finding["advice"] == f"ganduel evaluate {tmp_path / 'run'} --metrics memorisation"


def test_a_checkpoint_that_cannot_be_read_is_a_note(tmp_path, capsys):
    folder: Path = make_run(tmp_path / "run")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"cut off")
    assert found(capsys, folder) == ["the checkpoint: not looked at"]


@pytest.mark.slow
def test_the_default_recipe_is_sound(tmp_path, compose, capsys):
    """A third of its iterations. The note is on what was not measured."""
    train(tmp_path / "run", compose("tracking=none", "trainer.max_steps=3000", "trainer.accelerator=cpu"))
    assert found(capsys, tmp_path / "run") == ["memorisation"]
