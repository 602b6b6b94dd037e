"""A part that draws from Python's or numpy's global generator is said once: a resume cannot repeat it."""

import random

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from ganduel.callback.host_draws import HostDraws


class Drawing(Callback):
    """Draws in the iterations of these numbers, in between what is looked at."""

    def __init__(self, draw, *iterations):
        self.draw, self.iterations = draw, iterations

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step + 1 in self.iterations:
            self.draw()


@pytest.mark.usefixtures("untyped")  # beartype draws from Python's generator
@pytest.mark.parametrize(
    ("draw", "iterations", "names"),
    [
        (random.random, (1, 2, 3), "Python"),
        (np.random.rand, (1,), "numpy"),
        (lambda: (random.random(), np.random.rand()), (1,), "Python and numpy"),  # noqa: NPY002
        (random.random, (2,), None),
        (lambda: torch.rand(1), (1,), None),  # which are seeded for each iteration
    ],
)
def test_draws_of_the_first_iteration_are_named_once(fit, caplog, draw, iterations, names):
    fit("trainer.max_steps=3", callbacks=[HostDraws(), Drawing(draw, *iterations)])
    lines = [record.getMessage() for record in caplog.records if record.name == "ganduel"]
    assert [line.partition(":")[0] for line in lines] == (
        [] if names is None else [f"an iteration draws from the global generator of {names}"]
    )
