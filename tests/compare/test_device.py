"""Runs on a CPU and on a GPU are neither a pair nor duplicates; runs whose device is unknown may be paired with any."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from duels import NS, SAT, a_run, duel, report
from golden import make_run

from ganduel.compare.analysis import analyse
from ganduel.compare.device import hardware_notes, split_by_hardware
from ganduel.compare.pairing import arrange
from ganduel.compare.reading import Run, device_type, read_all
from ganduel.compare.verdict import verdicts

NOTE = (
    "runs on cpu (2 runs) and on cuda (2 runs) are not paired: dropout, random penalties and augmentation draw other "
    "numbers on another device, and rounding differs. Train all runs on one device type, such as "
    "trainer.accelerator=cpu."
)


def test_the_same_seed_on_two_devices_is_no_pair():
    """The saturating form was trained on a CPU, the other on a GPU: nothing is compared, and a note says why."""
    runs = [a_run(SAT, seed, 2.0, device="cpu") for seed in (0, 1)]
    runs += [a_run(NS, seed, 1.0, device="cuda") for seed in (0, 1)]
    comparison = report(runs)
    assert comparison.design.strata == ["device=cpu", "device=cuda"]
    assert comparison.contrasts == []
    assert comparison.warnings[0] == NOTE
    assert verdicts(comparison)[0].startswith("At device=cpu: saturating ends at")


def test_a_run_repeated_on_another_device_is_no_duplicate():
    runs = duel({0: 1.0}, {0: 2.0}, device="cpu") + duel({0: 5.0}, {0: 7.0}, device="cuda")
    comparison = report(runs)
    assert comparison.design.duplicates == []
    contrasts = [(c.stratum, c.difference.n, c.difference.mean) for c in comparison.contrasts]
    assert contrasts == [("device=cpu", 1, -1.0), ("device=cuda", 1, -2.0)]
    assert comparison.interactions == [], "it would pair seeds of a CPU with those of a GPU"
    assert [line for line in comparison.warnings if "not paired" in line] == [NOTE]


@pytest.mark.parametrize(
    ("first", "second"), [("cuda", "cuda"), ("cpu", "cpu"), (None, None), ("cpu", None), (None, "cuda")]
)
def test_runs_on_one_device_or_an_unknown_one_are_paired(first, second):
    runs = [a_run(SAT, 0, 2.0, device=first), a_run(NS, 0, 1.0, device=second)]
    comparison = report(runs)
    assert comparison.design.strata == [""]
    assert [c.difference.n for c in comparison.contrasts] == [1]
    assert comparison.warnings == []


def test_an_unknown_device_is_that_of_the_runs_of_the_same_seed():
    """Seed 0 is on a GPU, seed 1 on a CPU; seed 2 is unknown altogether and joins the larger set. In any order."""
    runs = [
        a_run(SAT, 0, device="cuda"), a_run(NS, 0),
        a_run(SAT, 1, device="cpu"), a_run(NS, 1),
        a_run(SAT, 3, device="cpu"), a_run(NS, 2),
    ]  # fmt: skip
    expected = dict(zip((id(run) for run in runs), ["cuda", "cuda", "cpu", "cpu", "cpu", "cpu"], strict=True))
    for order in permutations(runs):
        strata = split_by_hardware([""] * len(runs), order)
        assert strata == [f"device={expected[id(run)]}" for run in order]


def test_equal_counts_do_not_depend_on_the_order():
    runs = [a_run(SAT, 0, device="cpu"), a_run(SAT, 1, device="cuda"), a_run(SAT, 2)]
    assert {split_by_hardware([""] * 3, order)[order.index(runs[2])] for order in permutations(runs)} == {"device=cpu"}


def test_only_strata_with_several_devices_are_split():
    runs = duel({0: 1.0}, {0: 2.0}, device="cpu") + duel({0: 1.0}, {0: 2.0}, k=5, device="cuda")
    comparison = report(runs)
    assert comparison.design.strata == ["k=1", "k=5"]
    assert comparison.design.hardware == {"k=1": ("cpu", None), "k=5": ("cuda", None)}
    assert [c.difference.n for c in comparison.contrasts] == [1, 1]
    assert comparison.interactions == []
    assert comparison.warnings[0] == NOTE
    mixed = report([*runs, *duel({0: 1.0}, {0: 2.0}, k=5, device="cpu")])
    assert mixed.design.strata == ["k=1", "k=5, device=cpu", "k=5, device=cuda"]
    assert [(i.of, i.to) for i in mixed.interactions] == [("k=1", "k=5, device=cpu")]


def test_the_note_is_for_several_devices_only():
    run = a_run(SAT, 0)
    assert hardware_notes([run, replace(run, device="mps")]) == []
    (note,) = hardware_notes([replace(run, device="mps"), replace(run, device="cpu"), replace(run, device="cuda")])
    assert note.startswith("runs on cpu (1 run) and on cuda (1 run) and on mps (1 run) are not paired")


def test_devices_on_disk(tmp_path):
    """Older runs have no device in their summary; those on a GPU list its memory. A run in progress has its config."""
    make_run(tmp_path / "a", SAT, device="cuda")
    make_run(tmp_path / "b", NS, device="cpu")
    make_run(tmp_path / "c", SAT, device=None)
    make_run(tmp_path / "d", NS, status=None)
    old = make_run(tmp_path / "e", SAT, seed=1, device=None) / "summary.json"
    old.write_text(old.read_text().replace('"peak_memory": {}', '"peak_memory": {"cpu": 1, "gpu": 2}'))
    runs, _ = read_all([tmp_path])
    assert [run.device for run in runs] == ["cuda", "cpu", None, "cpu", "cuda"]
    comparison = analyse(arrange([run for run in runs if run.name in "ab"]))
    assert comparison.contrasts == []
    assert "on cpu (1 run) and on cuda (1 run) are not paired" in comparison.warnings[0]
    pair = analyse(arrange([run for run in runs if run.name in "bc"]))
    assert [c.difference.n for c in pair.contrasts if c.metric.startswith("fd")] == [1]


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ('"cuda"', "cuda"),
        ('"cuda:1"', "cuda"),
        ('"mps"', "mps"),
        ('""', None),
        ("null", None),
        ("3", None),
        ("[1]", None),
    ],
)
def test_what_a_summary_may_say_of_the_device(tmp_path, text, device):
    path = make_run(tmp_path / "a") / "summary.json"
    path.write_text(path.read_text().replace('"device": "cpu"', f'"device": {text}'))
    (run,), _ = read_all([tmp_path])
    assert isinstance(run, Run)
    assert run.device == device


# ---- ranks


def test_ranks_separate_runs_whose_networks_mix_the_samples_of_a_rank():
    """With BatchNorm one seed on 1 and on 2 ranks is another training: no repeat, no pair, and a note says why."""
    runs = [replace(a_run(SAT, 0, 2.0, device="cpu"), ranks=1), replace(a_run(NS, 0, 1.0, device="cpu"), ranks=2)]
    again = replace(runs[0], ranks=2, folder=Path("again"))
    comparison = report([*runs, again])
    assert comparison.design.strata == ["ranks=1", "ranks=2"]
    assert comparison.design.duplicates == []
    assert [(c.stratum, c.difference.mean) for c in comparison.contrasts] == [("ranks=2", -1.0)]
    assert comparison.warnings[0].startswith("runs on 1 rank (1 run) and on 2 ranks (2 runs) are not paired: ")
    assert not any("repeats" in line for line in comparison.warnings)
    assert comparison.design.hardware == {"ranks=1": ("cpu", 1), "ranks=2": ("cpu", 2)}


def test_strata_on_other_ranks_have_no_difference_of_differences():
    runs = [replace(run, ranks=1) for run in duel({0: 1.0}, {0: 2.0})]
    runs += [replace(run, ranks=2) for run in duel({0: 1.0}, {0: 2.0}, k=5)]
    assert report(runs).design.strata == ["k=1", "k=5"]
    assert report(runs).interactions == []


@pytest.mark.parametrize(
    ("entries", "ranks"),
    [
        ('"ranks": 2, "depends_on_ranks": true', 2),
        ('"ranks": 2, "depends_on_ranks": false', None),
        ('"ranks": "2", "depends_on_ranks": true', None),
        ('"ranks": 2', None),
    ],
)
def test_what_a_summary_may_say_of_ranks(tmp_path, entries, ranks):
    path = make_run(tmp_path / "a") / "summary.json"
    path.write_text(path.read_text().replace('"device": "cpu"', entries))
    (run,), _ = read_all([tmp_path])
    assert isinstance(run, Run)
    assert run.ranks == ranks


@pytest.mark.parametrize(
    ("accelerator", "machine", "device"),
    [
        ("gpu", {}, "cuda"), ("cpu", {"gpus": ["H200"]}, "cpu"), ("auto", {"gpus": ["H200"]}, "cuda"),
        ("auto", {"gpus": [], "platform": "Linux-6"}, "cpu"), ("auto", {"gpus": [], "platform": "macOS-15"}, None),
        ("auto", None, None),
    ],
)  # fmt: skip
def test_a_run_in_progress_is_on_the_device_that_its_config_asks_for(accelerator, machine, device):
    """One seed on a GPU, not yet finished, was called a repeat of the one on the CPU."""
    config = {"trainer": {"accelerator": accelerator}, "run": {"machine": machine}}
    assert device_type({}, config) == device
