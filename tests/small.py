"""Words of the command line that make a run of any kind take a second or two, and cases that not all run each time."""

import pytest

NETWORKS = ("model.generator.noise_dim=4", "model.generator.hidden=[16]", "model.discriminator.hidden=[16]")
EVALUATION = ("metric=[frechet]", "metric.frechet.samples=200")
SMALL = (*NETWORKS, "batch_size=8", "trainer.accelerator=cpu", "checkpoint_min_seconds=0")


def mostly_slow(cases: dict, quick: str) -> list:
    """The cases as parameters, of which everyone runs one."""
    return [
        pytest.param(case, id=name, marks=() if name == quick else pytest.mark.slow) for name, case in cases.items()
    ]
