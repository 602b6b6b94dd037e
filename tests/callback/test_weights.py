"""The weights in the rows: from the first ones on, by their names, after the iterations that are due."""

import pytest
import torch
from lightning.pytorch.loggers import Logger
from torch import nn

from ganduel.callback.weights import Weights, weights
from ganduel.data.dirac import Dirac
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan


class Rows(Logger):
    """A logger that keeps what it is given."""

    name, version = "rows", 0

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append(metrics)

    def log_hyperparams(self, *args, **kwargs):
        """Nothing to log."""


DIRAC = ("data=dirac", "model=dirac", "optimizer=sgd", "loss=wasserstein", "optimizer.discriminator.momentum=0",
         "optimizer.generator.momentum=0", "batch_size=2")  # fmt: skip


def test_rows_have_the_weights_from_the_start(compose, fit):
    """One iteration from (1, 1) with h = 0.1: ψ ← 1 − 0.1 θ, then θ ← 1 + 0.1 ψ."""
    rows = Rows()
    fit(callbacks=[Weights(every_n_iterations=4)], loggers=[rows], gan=build_gan(compose(*DIRAC), Dirac()))
    assert [row["iteration"] for row in rows.rows] == [0, 1, 4, 6]
    path = [(row["weight/g/theta"], row["weight/d/psi"]) for row in rows.rows]
    assert path[0] == (1.0, 1.0)
    assert path[1] == pytest.approx((1.09, 0.9))


def test_each_value_of_a_larger_tensor_has_a_column():
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[3.0, 4.0]]))
        net.bias.fill_(5.0)
    assert weights("weight/d", net) == {"weight/d/weight/0": 3.0, "weight/d/weight/1": 4.0, "weight/d/bias": 5.0}


def test_large_networks_are_refused(fit):
    with pytest.raises(UserError, match=r"callback=\[weights\] logs each weight of networks with at most 100, and "):
        fit(callbacks=[Weights()])
    with pytest.raises(UserError, match=r"callback\.weights\.every_n_iterations=0 must be at least 1"):
        Weights(0)
