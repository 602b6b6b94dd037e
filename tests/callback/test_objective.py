"""A mistyped objective ends the first trial at its first iteration; a good one is found by its first part too."""

from types import SimpleNamespace

import pytest
from lightning.pytorch import Callback

from ganduel.callback.objective import Objective, objective_key
from ganduel.errors import UserError

RECORD = SimpleNamespace(last={"iteration": 1, "loss/g": 0.7})


def test_a_mistyped_objective_is_refused_after_the_first_iteration(fit):
    with pytest.raises(UserError, match=r"objective=loss/q is not a metric of the run\. Did you mean loss/g"):
        fit(callbacks=[Objective("loss/q", RECORD)])


@pytest.mark.parametrize("name", ["loss/g", "loss"])
def test_one_on_record_is_accepted(fit, name: str):
    assert fit(callbacks=[Objective(name, RECORD)]).global_step == 6


class Foreign(Callback):
    """A user callback, which may log anything later."""


def test_beside_a_user_callback_nothing_is_refused(fit):
    assert fit(callbacks=[Objective("mine/later", RECORD), Foreign()]).global_step == 6


def test_a_metric_goes_by_its_first_part():
    metrics = {"fd/mnist_cnn_10k": 18.0, "fd/mnist_cnn_10k/floor": 2.1, "fdx": 1.0}
    assert objective_key("fd", metrics) == "fd/mnist_cnn_10k"
    assert objective_key("fdx", metrics) == "fdx"
