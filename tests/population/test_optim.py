"""Which optimizers may be one on the stack."""

import pytest
import torch

from ganduel.optim import Optim
from ganduel.population.optim import is_elementwise, join, member_state

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "name", ["Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD"]
)
def test_those_that_treat_each_number_alone(name: str):
    kind = getattr(torch.optim, name)
    assert is_elementwise(Optim(lambda p: kind(p, lr=1e-4, weight_decay=0.1) if name != "Rprop" else kind(p)), CPU)


@pytest.mark.parametrize("name", ["Muon", "Adafactor", "LBFGS", "SparseAdam"])
@pytest.mark.parametrize("lr", [1e-12, 1.0])
def test_those_that_do_not(name: str, lr: float):
    assert not is_elementwise(Optim(lambda p: getattr(torch.optim, name)(p, lr=lr)), CPU)


class DecayOfMatrices(torch.optim.SGD):
    """Decays what has two dimensions, which a stacked bias has too."""

    def step(self, closure=None):
        with torch.no_grad():
            for p in self.param_groups[0]["params"]:
                if p.ndim > 1:
                    p.mul_(0.9)
        super().step()


def test_one_that_counts_dimensions_is_not():
    assert not is_elementwise(Optim(lambda p: DecayOfMatrices(list(p), lr=1e-3)), CPU)


def test_one_with_groups_is_not_taken_amember_state():
    def groups(parameters):
        first, *rest = parameters
        return torch.optim.SGD([{"params": [first], "lr": 0.1}, {"params": rest}], lr=0.2)

    assert not is_elementwise(Optim(groups), CPU)


def test_states_are_joined_and_parted_by_their_shapes():
    p, whole = torch.zeros(2, 3), torch.zeros(4, 2, 3)
    moments = [torch.full((2, 3), float(i)) for i in range(4)]
    joined = join("exp_avg", moments, p)
    assert joined.shape == whole.shape
    assert torch.equal(member_state(joined, whole, 2), moments[2])
    steps = [torch.tensor(7.0)] * 4
    assert join("step", steps, torch.zeros(())).shape == ()  # of a weight that is one number, too
    assert join("step", steps, p) is not steps[0]
    assert member_state(steps[0], whole, 1) is steps[0]
    assert (join("n", [3, 3], p), member_state(3, whole, 1)) == (3, 3)
