"""What any penalty promises: how often it comes, that it is in the checkpoint, and which D it refuses."""

import pytest
import torch
from torch import nn

from ganduel.errors import UserError
from ganduel.model.mlp import MLPDiscriminator
from ganduel.penalty.base import Penalty, SlopePenalty


class Constant(Penalty):
    def __init__(self, every: int = 1):
        super().__init__(every)
        self.register_buffer("mean", torch.tensor(1.5))

    def forward(self, net, b, fake):
        return self.mean


class Slope(SlopePenalty):
    def forward(self, net, b, fake):
        return torch.zeros(())


@pytest.mark.parametrize("every", [0, -1])
def test_refuses_what_is_no_number_of_iterations(every):
    with pytest.raises(UserError, match=f"Constant: every={every} must be at least 1"):
        Constant(every)


def test_comes_in_each_iteration_unless_told_otherwise():
    assert (Constant().every, Constant(4).every) == (1, 4)


def test_what_it_keeps_is_in_the_state():
    other = Constant()
    other.load_state_dict({"mean": torch.tensor(7.0)})
    assert other(None, None, None) == 7


def test_no_penalty_without_a_term():
    with pytest.raises(TypeError, match="forward"):
        Penalty()


@pytest.mark.parametrize("norm", ["none", "layer", "spectral", "batch"])
def test_a_slope_at_each_sample_needs_a_d_without_batch_norm(norm):
    d = MLPDiscriminator((2,), hidden=[3], norm=norm)
    Constant().check(d, (2,))
    if norm == "batch":
        with pytest.raises(UserError, match=r"Slope needs D's slope at each sample, and a BatchNorm in D mixes"):
            Slope().check(d, (2,))
    else:
        Slope().check(d, (2,))


def test_a_batch_norm_is_found_at_any_depth():
    with pytest.raises(UserError, match="BatchNorm"):
        Slope().check(nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), nn.Linear(2, 1)), (2,))
