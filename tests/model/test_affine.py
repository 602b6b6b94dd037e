"""The affine generator's density is that of its samples, and the quadratic D can be the best one."""

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from ganduel.errors import UserError
from ganduel.model.affine import AffineGenerator, QuadraticDiscriminator


@pytest.fixture
def generator():
    net = AffineGenerator((2,))
    with torch.no_grad():
        net.matrix.copy_(torch.tensor([[1.0, 2.0], [0.0, 0.5]]))
        net.shift.copy_(torch.tensor([3.0, -1.0]))
    return net


def test_log_prob_is_that_of_the_gaussian(generator):
    """N(b, A Aᵀ)."""
    x = torch.randn(30, 2)
    expected = MultivariateNormal(generator.shift.double(), (generator.matrix @ generator.matrix.T).double())
    torch.testing.assert_close(generator.log_prob(x), expected.log_prob(x.double()))


def test_samples_have_its_moments(generator):
    x = generator(torch.randn(50_000, 2)).detach()
    torch.testing.assert_close(x.mean(0), generator.shift.detach(), atol=0.05, rtol=0)
    torch.testing.assert_close(x.T.cov(), (generator.matrix @ generator.matrix.T).detach(), atol=0.1, rtol=0)


def test_starts_as_the_noise_itself():
    z = torch.randn(5, 3)
    net = AffineGenerator((3,))
    assert torch.equal(net(z), z)
    assert net.noise_dim == 3


def test_discriminator_starts_undecided_and_gives_one_logit_a_sample():
    assert torch.equal(QuadraticDiscriminator((2,))(torch.randn(7, 2)), torch.zeros(7))


def test_discriminator_holds_the_best_logit_of_two_gaussians():
    """Log N(x; 1, 0.5²) − log N(x; 0, 1) = log 2 − 2 + 4x − 1.5x²."""
    net = QuadraticDiscriminator((1,))
    with torch.no_grad():
        net.linear.bias.fill_(torch.tensor(2.0).log().item() - 2)
        net.linear.weight.fill_(4.0)
        net.quadratic.fill_(-1.5)
    x = torch.linspace(-3, 3, 20).unsqueeze(1)
    best = Normal(1.0, 0.5).log_prob(x) - Normal(0.0, 1.0).log_prob(x)
    torch.testing.assert_close(net(x), best.squeeze(1))


@pytest.mark.parametrize("network", [AffineGenerator, QuadraticDiscriminator])
def test_images_are_refused(network):
    with pytest.raises(UserError, match=r"model=affine is for points.*Use model=mlp"):
        network((1, 28, 28))
