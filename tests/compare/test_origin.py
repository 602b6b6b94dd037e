"""Where numbers come from: what runs share is said once, with how many share it."""

from golden import FD, make_run

from ganduel.compare.origin import command, provenance
from ganduel.compare.reading import read_all


def test_runs_that_agree_are_counted(tmp_path):
    for seed in range(3):
        make_run(tmp_path / str(seed), seed=seed, hash="bbbb" if seed == 2 else "aaaa")
    runs, _ = read_all([tmp_path])
    found = provenance(runs)
    assert found["versions"] == [["python 3.11.7, torch 2.13.0", 3]]
    assert found["machines"] == [["platform Linux, cpu some, threads 1", 3]]
    assert found["commits"] == [["0123456789", 3]]
    assert dict(map(tuple, found["protocols"]))[FD] == [["aaaa", 2], ["bbbb", 1]]
    assert found["commands"][1] == "python train.py loss=saturating seed=1 k=1"


def test_a_command_line_can_be_typed_and_holds_no_secret(tmp_path):
    (run,), _ = read_all([make_run(tmp_path / "run")])
    run.config["run"]["overrides"] = ["model.generator.hidden=[8,8]", "x='a b'", "tracking.api_key=0123abc"]
    assert (
        command(run)
        == """python train.py 'model.generator.hidden=[8,8]' 'x='"'"'a b'"'"'' 'tracking.api_key=(hidden)'"""
    )


def test_what_is_not_on_record_is_said_to_be_so(tmp_path):
    (run,), _ = read_all([make_run(tmp_path / "run")])
    run.config["run"].clear()
    found = provenance([run])
    assert found["versions"] == found["machines"] == found["commits"] == [["not on record", 1]]
    assert found["commands"] == ["python train.py"]
