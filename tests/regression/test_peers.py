"""One test per bug found in another GAN repository, so that it does not occur here."""

import math
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from torch import nn

from ganduel.data.base import denormalise, normalise
from ganduel.factory.gan import build_gan
from ganduel.factory.part import build
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.saturating import Saturating
from ganduel.model.mlp import MLPDiscriminator, MLPGenerator

CONF = Path(__file__).parents[2] / "conf"
LOSSES = sorted(path.stem for path in (CONF / "loss").glob("*.yaml"))


class WatchGenerator(Callback):
    """Records G's gradients at D's updates, and D's at G's."""

    def __init__(self):
        self.at_d, self.at_g = [], []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if optimizer is trainer.optimizers[0]:
            self.at_d.append([p.grad for p in pl_module.generator.parameters()])
            self.before_g = [p.grad.clone() for p in pl_module.discriminator.parameters()]
        else:
            after = [p.grad for p in pl_module.discriminator.parameters()]
            self.at_g.append(all(torch.equal(a, b) for a, b in zip(self.before_g, after, strict=True)))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", ["[]", "r1"])
def test_discriminators_update_leaves_no_gradient_in_the_generator(fit, loss, penalty):
    """PyTorch-GAN, softmax_gan.py: D's loss runs through G, whose gradients are then in G's own step."""
    watch = WatchGenerator()
    fit(f"loss={loss}", f"penalty={penalty}", "trainer.max_steps=1", "k=3", callbacks=[watch])
    assert len(watch.at_d) == 3
    assert all(gradient is None for gradients in watch.at_d for gradient in gradients)
    assert watch.at_g == [True], "G's update leaves no gradient in D"


def test_batch_norms_second_argument_is_not_the_momentum():
    """PyTorch-GAN, gan.py and others: nn.BatchNorm1d(n, 0.8) sets eps to 0.8, which flattens what it normalises."""
    for network in (MLPGenerator((3,), hidden=[4, 5], norm="batch"), MLPDiscriminator((3,), hidden=[4], norm="batch")):
        layers = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
        assert layers
        assert {(layer.eps, layer.momentum) for layer in layers} == {(1e-5, 0.1)}


def test_float_images_are_rounded_to_bytes():
    """torchmetrics, fid.py: (x * 255).byte() truncates, half a grey value too dark on average and at most one."""
    just_below = normalise(torch.arange(256, dtype=torch.uint8)) - 1e-5
    assert torch.equal(denormalise(just_below), torch.arange(256, dtype=torch.uint8))


def test_seed_zero_is_a_seed(tiny, images):
    """lightning-hydra-template, train.py: `if cfg.get("seed")` leaves seed=0 unseeded, and each run different."""
    states = []
    for state_of_the_process in (1, 2):
        torch.manual_seed(state_of_the_process)
        gan = build_gan(tiny("seed=0"), images)
        minibatch = gan.batches(0).generator
        states.append([*gan.state_dict().values(), minibatch.noise, minibatch.real])
    assert gan.batches.seed == 0
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


def test_training_is_the_same_at_seed_zero(fit):
    one, other = (fit("seed=0").lightning_module.state_dict() for _ in range(2))
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    third = fit("seed=1").lightning_module.state_dict()
    assert not all(torch.equal(value, third[key]) for key, value in one.items())


@pytest.mark.parametrize("loss", ["nonsaturating", "saturating", "relativistic", "relativistic_average"])
def test_losses_take_logits_not_probabilities(compose, loss):
    """compare_gan, loss_lib.py: least squares on sigmoid(logit). On probabilities D's slope is squashed twice."""
    form = build(compose(f"loss={loss}")["loss"])
    sure, unsure = (form.discriminator(torch.tensor([a]), torch.tensor([-a])).item() for a in (8.0, 1.0))
    assert sure < 0.001 < unsure, "of probabilities the loss could not fall below 2 log(1 + 1/e)"
    network = MLPDiscriminator((2,), hidden=[3])
    assert network(1e4 * torch.randn(50, 2)).abs().max() > 1, "D ends in a logit"


@pytest.mark.parametrize("form", [NonSaturating, Saturating])
def test_no_epsilon_hides_in_a_logarithm(form):
    """Many: log(sigmoid(x) + 1e-8) has no slope beyond |x| = 18, just where D or G is wrong and should learn."""
    a = torch.tensor([-60.0], requires_grad=True)
    b = torch.tensor([60.0], requires_grad=True)
    loss = form().discriminator(a, b)
    assert loss.item() == pytest.approx(120)
    assert [g.item() for g in torch.autograd.grad(loss, [a, b])] == pytest.approx([-1, 1])
    assert form().d_real(torch.tensor([40.0], dtype=torch.float64)).item() == pytest.approx(math.exp(-40))
