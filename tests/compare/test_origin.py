"""Where numbers come from is counted over runs, and a command line can be pasted."""

from pathlib import Path
from typing import Any

from duels import SAT, a_run
from golden import FD, config

from ganduel.compare.origin import command, provenance
from ganduel.compare.reading import Run


def of(**more: Any) -> Run:
    """A run with this in what its config says of it."""
    values = config()
    values["run"] |= more
    return Run(Path("a"), values)


def test_versions_machines_and_commits_are_counted():
    old = {"python": "3.11.7", "torch": "2.12.0", "wandb": None}
    entries = provenance([of(), of(versions=old, git=None), of(git="fedcba", machine={"cpu": "x", "gpus": ["a", "b"]})])
    assert entries["versions"] == [["python 3.11.7, torch 2.13.0", 2], ["python 3.11.7, torch 2.12.0", 1]]
    assert entries["commits"] == [["0123456789", 1], ["not on record", 1], ["fedcba", 1]]
    assert entries["machines"] == [["platform Linux, cpu some, threads 1", 2], ["cpu x, gpus ['a', 'b']", 1]]


def test_protocols_are_counted_by_metric():
    runs = [a_run(SAT, 0, 1.0, recall_x=0.5), a_run(SAT, 1, 1.0), a_run(SAT, 2, 1.0, hash="bbbb2222"), a_run(SAT, 3)]
    protocols = provenance(runs)["protocols"]
    assert sorted(protocols) == [[FD, [["aaaa1111", 2], ["bbbb2222", 1]]], ["recall/x", [["aaaa1111", 1]]]]


def test_a_run_that_says_nothing_of_itself():
    entries = provenance([Run(Path("a"), {"run": {}, "seed": 0})])
    nothing = [["not on record", 1]]
    assert entries == {
        "versions": nothing, "machines": nothing, "commits": nothing, "protocols": [], "commands": ["ganduel train"],
    }  # fmt: skip


def test_a_command_can_be_pasted():
    """Quoted as a shell wants it."""
    run = of(overrides=["a=[1, 2]", "b='x y'", "c=$HOME", "d.token=(hidden)", "k=2"])
    assert command(run) == """ganduel train 'a=[1, 2]' 'b='"'"'x y'"'"'' 'c=$HOME' 'd.token=(hidden)' k=2"""
    assert command(of(overrides=None)) == "ganduel train"
