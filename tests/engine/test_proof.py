"""A fast form is accepted if it is equal to some digits, and the run goes on from what the update itself did."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from ganduel.engine.proof import STRICT, State, Tolerance, distance, prove

X = torch.tensor([[1.0, 2.0]])


class Toy:
    """A network with a BatchNorm, noise and an optimizer; `error` is added to what is given."""

    def __init__(self, dtype: torch.dtype = torch.float32):
        torch.manual_seed(0)
        self.net, self.norm = nn.Linear(2, 1).to(dtype), nn.BatchNorm1d(1).to(dtype)
        parameters = list(self.net.parameters())
        self.optimizer = torch.optim.Adam(parameters, lr=0.1)
        self.generator = torch.Generator().manual_seed(0)
        self.update()
        states = [value for state in self.optimizer.state.values() for value in state.values()]
        self.tensors = [*parameters, *self.norm.buffers(), *states]
        self.state = State([self.optimizer], self.tensors, [self.generator])

    def update(self, weights: float = 0.0, buffers: float = 0.0, moments: float = 0.0, outputs: float = 0.0) -> dict:
        self.optimizer.zero_grad()
        x = X.expand(4, 2).to(self.net.weight) + torch.randn(4, 2, generator=self.generator).to(self.net.weight)
        loss = (self.norm(self.net(x)) + self.net(x)).square().mean()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.net.weight += weights
            self.norm.running_mean += buffers
            self.optimizer.state[self.net.weight]["exp_avg"] += moments
        return {"loss": loss.detach() + outputs}


def check(
    toy: Toy, fast: Callable[[], dict[str, Tensor]], launches: int = 2, tolerance: Tolerance = STRICT
) -> str | None:
    """What is said of the fast form, on the way seeing that the run is that of another toy's."""
    other = Toy(toy.net.weight.dtype)
    expected = other.update()
    outputs, difference = prove(toy.state, toy.update, fast, tolerance, launches)
    assert torch.equal(outputs["loss"], expected["loss"])
    assert all(torch.equal(one, two) for one, two in zip(toy.tensors, other.tensors, strict=True))
    assert torch.equal(toy.generator.get_state(), other.generator.get_state())
    return difference


def test_the_same_is_accepted():
    toy = Toy()
    assert check(toy, toy.update) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [("weights", "other weights"), ("buffers", "other buffers"), ("moments", "other states of optimizers"),
     ("outputs", "another loss")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("dtype", "small", "large"),
    [(torch.float32, 1e-7, 1e-2), (torch.float64, 1e-9, 1e-5)],
    ids=["float32", "float64"],
)
def test_an_error_is_named_and_rounding_is_none(name: str, said: str, dtype: torch.dtype, small: float, large: float):
    for size, expected in ((small, None), (large, said)):
        toy = Toy(dtype)
        assert check(toy, partial(toy.update, **{name: size})) == (expected and f"{expected} than eager")


def test_what_kernels_differ_by_from_run_to_run_is_allowed():
    toy, errors = Toy(), iter([1e-3, -1e-3])
    assert check(toy, lambda: toy.update(weights=next(errors))) is None
    toy, errors = Toy(), iter([0.5, -0.5])
    assert check(toy, lambda: toy.update(weights=next(errors))) == "other weights than eager"


def test_a_tolerance_can_be_looser():
    toy = Toy()
    assert check(toy, lambda: toy.update(outputs=1e-3), 1, Tolerance(1e-2, 1e-2)) is None


def test_an_error_of_the_fast_form_is_caught():
    toy = Toy()

    def fast() -> dict[str, Tensor]:
        toy.update(weights=1.0)
        raise RuntimeError("no compiler\nand much more")

    assert check(toy, fast) == "an error: no compiler"


def test_constants_are_never_written():
    """An expanded tensor cannot be."""
    toy = Toy()
    toy.tensors.append(torch.ones(1).expand(3))
    other = State([toy.optimizer], toy.tensors, [])
    assert prove(other, toy.update, lambda: {"loss": torch.zeros(())}, STRICT, 1)[1] is not None


def test_distance():
    inf, nan = float("inf"), float("nan")
    assert distance([torch.tensor([1.0, inf, nan])], [torch.tensor([4.0, inf, nan])]) == 3
    assert distance([torch.tensor([3]), torch.tensor(True)], [torch.tensor([0]), torch.tensor(False)]) == 10**0.5
    assert not distance([torch.tensor(nan)], [torch.tensor(1.0)]) <= 1
