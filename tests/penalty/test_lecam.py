"""LeCam against its formula, with averages by hand."""

import pytest
import torch
from minibatches import critic, minibatch

from ganduel.errors import UserError
from ganduel.penalty.lecam import LeCam


def term(penalty, real, fake):
    """The penalty of a D whose logits are the samples themselves."""
    return penalty(
        critic(lambda x: x[:, 0]), minibatch(torch.tensor(real)[:, None]), torch.tensor(fake)[:, None]
    ).item()


def test_the_first_averages_are_those_of_the_first_minibatch():
    """α_real = 2, α_fake = −1: E[(D(x) + 1)²] + E[(D(G(z)) − 2)²] = (4 + 16)/2 + (9 + 9)/2."""
    assert term(LeCam(0.5), [1.0, 3.0], [-1.0, -1.0]) == pytest.approx(0.5 * (10 + 9))


def test_averages_move_and_their_start_is_corrected():
    """With decay 1/2 the second averages are (½ first + second)/(3/2); at equal logits the penalty is 0 in the end."""
    penalty = LeCam(1.0, decay=0.5)
    term(penalty, [3.0, 3.0], [0.0, 0.0])
    value = term(penalty, [6.0, 6.0], [0.0, 0.0])
    assert (penalty.sums / penalty.weights).tolist() == pytest.approx([5, 0])
    assert value == pytest.approx(6**2 + 5**2)
    same = LeCam(1.0)
    assert [term(same, [2.0], [2.0]) for _ in range(3)] == pytest.approx([0, 0, 0], abs=1e-12)


def test_the_averages_are_in_the_checkpoint_and_have_no_gradient():
    penalty, other, w = LeCam(), LeCam(), torch.ones((), requires_grad=True)
    value = penalty(
        critic(lambda x: w * x[:, 0]), minibatch(torch.tensor([[1.0], [2.0]])), torch.tensor([[0.0], [4.0]])
    )
    other.load_state_dict(penalty.state_dict())
    assert other.sums.tolist() == [1.5, 2.0]
    averages = torch.tensor([1.5, 2.0])
    expected = 0.3 * (2 * (torch.tensor([1.0, 2.0]) - averages[1]) * torch.tensor([1.0, 2.0])).mean()
    expected += 0.3 * (2 * (torch.tensor([0.0, 4.0]) - averages[0]) * torch.tensor([0.0, 4.0])).mean()
    assert torch.autograd.grad(value, w)[0].item() == pytest.approx(expected.item())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(UserError, match=r"LeCam: decay=.* must be at least 0 and below 1"):
        LeCam(decay=decay)
