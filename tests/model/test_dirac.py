"""The networks of one weight: what they compute, where they start, what they are for."""

import pytest
import torch

from ganduel.errors import UserError
from ganduel.model.dirac import DiracDiscriminator, DiracGenerator


def test_generator_is_its_weight_whatever_the_noise():
    net = DiracGenerator((1,), theta=-0.5)
    assert torch.equal(net(net.draw(3, torch.Generator())), torch.full((3, 1), -0.5))
    assert sum(p.numel() for p in net.parameters()) == 1


def test_discriminator_is_linear_without_a_constant():
    x = torch.tensor([[0.0], [2.0], [-3.0]])
    assert DiracDiscriminator((1,), psi=2.0)(x).tolist() == [0.0, 4.0, -6.0]
    assert sum(p.numel() for p in DiracDiscriminator((1,)).parameters()) == 1


def test_gradients_by_hand():
    """Of D(G(z)) = ψθ summed over three: 3ψ in θ, 3θ in ψ."""
    generator, discriminator = DiracGenerator((1,), theta=2.0), DiracDiscriminator((1,), psi=5.0)
    discriminator(generator(torch.zeros(3, 1))).sum().backward()
    assert (generator.theta.grad, discriminator.psi.grad) == (torch.tensor(15.0), torch.tensor(6.0))


@pytest.mark.parametrize("network", [DiracGenerator, DiracDiscriminator])
def test_other_data_are_refused(network):
    with pytest.raises(UserError, match=r"model=dirac is for points on the line.*shape \(2,\)\. Use data=dirac\."):
        network((2,))
