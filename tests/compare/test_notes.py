"""What is said of runs that are left out."""

from dataclasses import replace
from pathlib import Path

import pytest
from duels import SAT, a_run
from golden import config

from ganduel.compare.notes import duplicate_note


def test_a_run_that_repeats_another():
    run = a_run(SAT, 0, 1.0)
    assert duplicate_note(replace(run, folder=Path("b")), run).startswith("b repeats saturating,1,0,")
    here, there = replace(run, folder=Path("here/a")), replace(run, folder=Path("there/a"))
    assert duplicate_note(here, there) == "here/a repeats there/a, and is left out"


@pytest.mark.parametrize(
    ("trainer", "change"),
    [
        ({"devices": 2}, "trainer.devices: 2, not 1"),
        ({"accelerator": "gpu"}, "trainer.accelerator: gpu, not cpu"),
    ],
)
def test_a_run_on_other_hardware_does_not_repeat_it(trainer, change):
    """A user has trained a seed once on one process and once on two: the second is no copy of the first."""
    values = config()
    values["trainer"] |= trainer
    run = a_run(SAT, 0, 1.0)
    note = duplicate_note(replace(run, config=values, folder=Path("b")), run)
    assert note == f"b has the config and seed of {run.name}, but other hardware ({change}), and is left out"
