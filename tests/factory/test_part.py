"""A part from its config."""

import pytest
import torch

from ganduel.errors import UserError
from ganduel.factory.part import build


def test_a_part_that_refuses_is_a_user_error():
    """With what the part says, and no trace of Hydra's."""
    with pytest.raises(UserError, match=r"^R1: gamma=-1.0 must not be negative"):
        build({"_target_": "ganduel.penalty.r1.R1", "gamma": -1.0})
    with pytest.raises(UserError, match=r"^Adam: Invalid learning rate: -1"):
        build({"_target_": "torch.optim.Adam", "lr": -1.0}, params=[torch.zeros(1)])
    with pytest.raises(UserError, match=r"^StepLR: .*step_size"):
        build({"_target_": "torch.optim.lr_scheduler.StepLR"}, optimizer=None)


def test_lists_arrive_as_lists():
    """Not as OmegaConf's, which no checkpoint may hold."""
    part = build({"_target_": "builtins.dict", "a": [1, {"b": 2}]})
    assert type(part["a"]) is list
    assert type(part["a"][1]) is dict
