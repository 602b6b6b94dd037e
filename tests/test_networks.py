"""What every convolutional network promises, on small ones: shapes, gradients, precisions, training, stacking."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from states import same
from torch import Tensor, nn
from unrolling import after_real_steps, in_training, unrolled

from ganduel.batch import Batches
from ganduel.condition.auxiliary import Auxiliary
from ganduel.condition.projection import Projection
from ganduel.data.base import TensorData
from ganduel.ema import EMA
from ganduel.gan import GAN
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.model.base import keyed_layers, mixes_samples
from ganduel.model.dcgan import DCGANDiscriminator, DCGANGenerator
from ganduel.model.infogan import InfoGANDiscriminator, InfoGANGenerator
from ganduel.model.mlp import MLPGenerator
from ganduel.model.r3gan import R3GANDiscriminator, R3GANGenerator
from ganduel.model.resnet import ResNetDiscriminator, ResNetGenerator
from ganduel.model.sndcgan import SNDCGANDiscriminator, SNDCGANGenerator
from ganduel.model.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from ganduel.optim import Optim
from ganduel.population.network import StackedNetwork, can_be_batched
from ganduel.rng import Draws

SMALL_R3GAN = {"max_width": 4, "group_width": 2}
STYLES = {"noise_dim": 6, "mapping_layers": 2, "max_width": 6}
GENERATORS: dict[str, Callable] = {
    "dcgan": lambda shape: DCGANGenerator(shape, width=2),
    "dcgan, layer norm": lambda shape: DCGANGenerator(shape, width=2, norm="layer"),
    "infogan": InfoGANGenerator,
    "sndcgan": lambda shape: SNDCGANGenerator(shape, width=2),
    "resnet": lambda shape: ResNetGenerator(shape, width=4, attention=min(shape[1:])),
    "r3gan": lambda shape: R3GANGenerator(shape, **SMALL_R3GAN),
    "stylegan2": lambda shape: StyleGAN2Generator(shape, **STYLES),
}
DISCRIMINATORS: dict[str, Callable] = {
    "dcgan": lambda shape: DCGANDiscriminator(shape, width=2),
    "dcgan, layer norm": lambda shape: DCGANDiscriminator(shape, width=2, norm="layer"),
    "infogan": InfoGANDiscriminator,
    "infogan, no norm": lambda shape: InfoGANDiscriminator(shape, norm="none"),
    "sndcgan": lambda shape: SNDCGANDiscriminator(shape, width=2),
    "resnet": lambda shape: ResNetDiscriminator(shape, width=4, attention=min(shape[1:]) // 2),
    "resnet, layer norm": lambda shape: ResNetDiscriminator(shape, width=4, norm="layer", pool="mean"),
    "r3gan": lambda shape: R3GANDiscriminator(shape, **SMALL_R3GAN),
    "stylegan2": lambda shape: StyleGAN2Discriminator(shape, max_width=4),
    "stylegan2, no groups": lambda shape: StyleGAN2Discriminator(shape, max_width=4, minibatch_std_group=1),
}
MIXING = {"dcgan", "infogan", "stylegan2"}
ONE_BY_ONE = {"stylegan2": "G", "sndcgan": "D", "resnet": "D"}  # draws; spectral norm
SHAPE = (1, 16, 16)


def shape_of(name: str) -> tuple[int, ...]:
    """That of the images; smaller ones where a network of fixed widths is large."""
    return (1, 4, 4) if "infogan" in name else SHAPE


def build(make: Callable, shape: tuple[int, ...], seed: int = 0) -> nn.Module:
    """A network whose layers that draw have draws, away from initial weights of 0."""
    torch.manual_seed(seed)
    net = make(shape)
    for layer in keyed_layers(net):
        layer.draws = Draws("cpu", 4)
        layer.draws.seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return net


def assert_gradients_arrive(net: nn.Module, output: Tensor) -> None:
    output.square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


@pytest.mark.parametrize("name", GENERATORS)
def test_g_gives_images_of_any_shape_that_fits(name):
    """Grey, RGB and RGBA, tall and wide; every weight takes part."""
    for shape in (shape_of(name), (3, 16, 24), (4, 24, 8)):
        net = build(GENERATORS[name], shape)
        x = net(torch.randn(4, net.noise_dim))
        assert x.shape == (4, *shape)
    assert_gradients_arrive(net, x)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_d_gives_a_logit_per_image(name):
    for shape in (shape_of(name), (3, 16, 24), (4, 24, 8)):
        net = build(DISCRIMINATORS[name], shape)
        logits = net(torch.randn(4, *shape))
        assert logits.shape == (4,)
    assert_gradients_arrive(net, logits)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_whether_d_mixes_samples_is_found(name):
    assert mixes_samples(build(DISCRIMINATORS[name], shape_of(name)), shape_of(name)) is (name in MIXING)


@pytest.mark.usefixtures("untyped")  # without its last layer a D returns its features
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_d_ends_in_a_layer_that_a_condition_can_take_off(name):
    """A projection that knows of no class yet leaves the logits as they are; an auxiliary classifier adds a number."""
    x, y = torch.randn(4, *shape_of(name)), torch.tensor([0, 1, 2, 0])
    net = build(DISCRIMINATORS[name], shape_of(name)).eval()
    logits = net(x)
    projected = Projection().discriminator(lambda shape: deepcopy(net), shape_of(name), 3).eval()
    if "sndcgan" not in name and name != "resnet":  # spectral norm leaves no direction at 0
        torch.testing.assert_close(projected(x, y), logits)
    output = Auxiliary().discriminator(lambda shape: deepcopy(net), shape_of(name), 3).eval()(x, y)
    torch.testing.assert_close(output[:, 0], logits)


@pytest.mark.parametrize("name", [name for name in DISCRIMINATORS if name not in ("dcgan", "infogan")])
def test_a_penalty_on_slopes_can_be_differentiated(name):
    """d/dθ of E‖∇D(x)‖² along a random direction of the weights, against the difference quotient, in float64."""
    net = build(DISCRIMINATORS[name], shape_of(name)).double().eval()  # eval: spectral norm does not move on
    x = torch.randn(4, *shape_of(name)).double()
    weights = list(net.parameters())
    direction = [torch.randn_like(p) for p in weights]

    def penalty() -> Tensor:
        return torch.func.grad(lambda x: net(x).sum())(x).square().sum()

    def shifted(step: float) -> Tensor:
        with torch.no_grad():
            for p, v in zip(weights, direction, strict=True):
                p += step * v
        return penalty()

    penalty().backward()
    slope = sum((p.grad * v).sum() for p, v in zip(weights, direction, strict=True) if p.grad is not None)
    h = 1e-7
    after, before = shifted(h), shifted(-2 * h)
    torch.testing.assert_close((after - before) / (2 * h), slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_d_can_be_unrolled(name):
    """G's loss is that after real steps on a copy, and has a gradient; D and its buffers stay as they were."""
    g, net = MLPGenerator(shape_of(name), noise_dim=3, hidden=[8]), build(DISCRIMINATORS[name], shape_of(name))
    batches = Batches(TensorData(torch.randint(256, (8, *shape_of(name))).to(torch.uint8)), g.draw, batch_size=4)
    optims = [Optim(lambda weights: torch.optim.SGD(weights, lr=1e-3)) for _ in range(2)]
    gan, b = in_training(GAN(g, net, NonSaturating(), batches, *optims, unroll=2), 1)
    before = deepcopy(gan.state_dict())
    loss = unrolled(gan, b)
    assert loss.item() == pytest.approx(after_real_steps(gan, b, 2).item(), rel=1e-12)
    assert_gradients_arrive(g, loss)
    assert same(gan.state_dict(), before)


@pytest.mark.parametrize("name", GENERATORS)
def test_g_keeps_its_precision(name):
    """Float64 in, float64 out; under autocast to bfloat16 about the same images as in float32."""
    net = build(GENERATORS[name], shape_of(name)).eval()
    z = torch.randn(4, net.noise_dim)
    assert deepcopy(net).double()(z.double()).dtype == torch.float64
    full = net(z)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(z).float()
    assert (half - full).norm() < 0.05 * full.norm()


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_d_keeps_its_precision(name):
    net = build(DISCRIMINATORS[name], shape_of(name)).eval()
    x = torch.randn(4, *shape_of(name))
    assert deepcopy(net).double()(x.double()).dtype == torch.float64
    full = net(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = net(x).float()
    assert (half - full).norm() < 0.05 * full.norm()


@pytest.mark.parametrize("name", [name for name in GENERATORS if name in DISCRIMINATORS])
def test_trains(fit, name):
    """Three iterations: all weights move, and the average of G has the buffers of G, such as BatchNorm's statistics."""
    torch.manual_seed(0)
    shape = shape_of(name)
    g, d = GENERATORS[name](shape), DISCRIMINATORS[name](shape)
    before = deepcopy([dict(net.named_parameters()) for net in (g, d)])
    adam = Optim(lambda parameters: torch.optim.Adam(parameters, lr=0.01, betas=(0.0, 0.9)))
    data = TensorData(torch.randint(256, (16, *shape), dtype=torch.uint8))
    gan = GAN(g, d, NonSaturating(), Batches(data, g.draw, batch_size=4), adam, deepcopy(adam), ema=EMA(g, 1.0))
    fit("trainer.max_steps=3", gan=gan)
    for net, start in zip((g, d), before, strict=True):
        assert [key for key, p in net.named_parameters() if torch.equal(p, start[key])] == []
    pairs = list(zip(gan.ema.net.buffers(), g.buffers(), strict=True))
    assert all(torch.equal(*pair) for pair in pairs)
    statistics = [module.running_mean for module in gan.ema.net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(mean.abs().max() > 0 for mean in statistics)
    assert gan.ema.net(g.draw(2, torch.Generator())).isfinite().all()


@pytest.mark.parametrize("network", ["G", "D"])
@pytest.mark.parametrize("name", [name for name in GENERATORS if name in DISCRIMINATORS])
def test_stacked_networks_give_what_each_gives_alone(name, network):
    """By one kernel for all where nothing is drawn and nothing is written by the layers themselves."""
    make, shape = (GENERATORS if network == "G" else DISCRIMINATORS)[name], shape_of(name)
    alone, stacked = ([build(make, shape, seed).double() for seed in range(2)] for _ in range(2))
    x = torch.randn(2, 4, *(shape if network == "D" else (alone[0].noise_dim,))).double()
    batched = can_be_batched(stacked[0], lambda i, net, x: net(x), x[0])
    assert batched is (ONE_BY_ONE.get(name) != network)
    whole = StackedNetwork(stacked, batched)
    y = whole(x)
    y.square().sum().backward()
    for i, net in enumerate(alone):
        output = net(x[i])
        output.square().sum().backward()
        torch.testing.assert_close(y[i], output)
        for p, q in zip(whole.parameters(), net.parameters(), strict=True):
            torch.testing.assert_close(p.grad[i], q.grad)
        for p, q in zip(stacked[i].buffers(), net.buffers(), strict=True):
            torch.testing.assert_close(p, q)
