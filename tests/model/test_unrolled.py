"""Unrolled GANs: G's gradient through D's steps, against closed forms, real steps of D's optimizer and differences."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from states import same
from torch import Tensor
from toys import Features
from unrolling import after_real_steps, in_training, step_d, unrolled

from ganduel import GAN, Batches, Optim
from ganduel.data.base import TensorData
from ganduel.data.dirac import Dirac
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.loss.wasserstein import Wasserstein
from ganduel.model.dirac import DiracDiscriminator, DiracGenerator
from ganduel.model.mlp import MLPGenerator
from ganduel.penalty.r2 import R2

RATE = 0.1


def check_gradient(gan: GAN, b: Any, steps: int) -> None:
    """The loss and its slope in a direction of G's weights are those of real steps, by differences."""
    loss, weights = unrolled(gan, b), list(gan.generator.parameters())
    assert loss.item() == pytest.approx(after_real_steps(gan, b, steps).item(), rel=1e-5)
    directions = [torch.randn_like(p) for p in weights]
    gradients = torch.autograd.grad(loss, weights)
    slope = sum((g * v).sum() for g, v in zip(gradients, directions, strict=True)).item()
    values = []
    for sign in (1e-6, -2e-6):
        with torch.no_grad():
            for p, v in zip(weights, directions, strict=True):
                p += sign * v
        values.append(after_real_steps(gan, b, steps).item())
    assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-8)


def dirac(steps: int, momentum: float = 0.0, **parts: Any) -> tuple[GAN, Any]:
    """θ = 0.75, ψ = −0.5, the Wasserstein loss: L_D = ψθ, L_G = −ψθ."""
    g, d = DiracGenerator((1,), 0.75), DiracDiscriminator((1,), -0.5)
    optims = [Optim(partial(torch.optim.SGD, lr=RATE, momentum=momentum)) for _ in range(2)]
    gan = GAN(g, d, Wasserstein(), Batches(Dirac(), g.draw, batch_size=1), *optims, unroll=steps, **parts)
    return in_training(gan, 0)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_the_gradient_on_the_dirac_gan(steps: int):
    """ψᴷ = ψ − K h θ, L_G = −ψᴷ θ: ∂L_G/∂θ = −ψ + 2 K h θ, which pulls θ to 0."""
    gan, b = dirac(steps)
    unrolled(gan, b).backward()
    assert gan.generator.theta.grad.item() == pytest.approx(0.5 + 2 * steps * RATE * 0.75, abs=1e-12)
    assert gan.discriminator.psi.item() == pytest.approx(-0.5)


@pytest.mark.parametrize("steps", [1, 2])
def test_d_descends_its_penalties_too(steps: int):
    """R2: γ/2 ψ². ψⁱ⁺¹ = q ψⁱ − h θ, q = 1 − h γ: ψᴷ = qᴷ ψ − s θ, s = h (1 + q + …)."""
    gan, b = dirac(steps, penalties_d={"r2": R2(gamma=2.0)})
    unrolled(gan, b).backward()
    q = 1 - 2 * RATE
    s = RATE * sum(q**i for i in range(steps))
    assert gan.generator.theta.grad.item() == pytest.approx(0.5 * q**steps + 2 * s * 0.75, abs=1e-12)


def test_steps_begin_from_the_optimizers_state():
    """Momentum μ with θ₀ in its buffer: ψ² = ψ − h ((μ + μ²) θ₀ + (2 + μ) θ)."""
    gan, b = dirac(2, momentum=0.5)
    step_d(gan, b, gan.generator(b.noise))
    unrolled(gan, b).backward()
    psi = -0.5 - RATE * 0.75
    gradient = -psi + RATE * 0.75 * (0.75 + 2 * 2.5)
    assert gan.generator.theta.grad.item() == pytest.approx(gradient, abs=1e-12)


CASES = {
    "adam": "",
    "momentum and clipping": "optimizer=sgd clip.discriminator=0.05",
    "penalties": "penalty=[r1,gradient_penalty] penalty.r1.gamma=1.0",
    "clipped weights": "loss=wasserstein penalty=[clip_weights] penalty.clip_weights.c=0.3",
    "relativistic": "loss=relativistic_average",
    "hinge, dead units": "loss=hinge model.discriminator.activation=relu",
    "batch norm": "model.discriminator.norm=batch",
    "spectral norm": "model.discriminator.norm=spectral",
    "packed": "pack=2",
    "dropout": "model.discriminator.dropout=0.3",
}


@pytest.fixture
def gan_of(tiny: Callable) -> Callable[..., tuple[GAN, Any]]:
    """A function from words to a small GAN on points, in training, and a minibatch."""

    def make(*words: str) -> tuple[GAN, Any]:
        points = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
        return in_training(build_gan(tiny("unroll=2", *words), TensorData(points)))

    return make


@pytest.mark.parametrize("words", CASES.values(), ids=CASES)
def test_steps_are_those_that_d_would_take(gan_of: Callable, words: str):
    check_gradient(*gan_of(*words.split()), 2)


@pytest.mark.parametrize("words", ["penalty=[lecam]", *list(CASES.values())[-3:]])
def test_nothing_of_d_is_changed(gan_of: Callable, words: str):
    """Weights, buffers, what penalties keep, the optimizer, gradients."""
    gan, b = gan_of(*words.split())

    def state() -> Any:
        gradients = [p.grad for p in gan.discriminator.parameters()]
        return deepcopy([gan.state_dict(), gan.optim_d.optimizer.state_dict(), gradients])

    before = state()
    unrolled(gan, b).backward()
    assert same(before, state())


def test_units_without_a_gradient_have_no_say(gan_of: Callable):
    """The root in Adam's step has no slope at 0, where the second moments of dead units stay."""
    gan, b = gan_of("model.discriminator.activation=relu")
    with torch.no_grad():
        next(p for name, p in gan.discriminator.named_parameters() if name.endswith("bias")).fill_(-1e3)
    gan.optim_d.optimizer.state.clear()
    gan.optim_d.optimizer.step()
    unrolled(gan, b).backward()
    assert all(p.grad.isfinite().all() for p in gan.generator.parameters())


class Opaque(torch.autograd.Function):
    """x², whose gradient has none."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return 2 * gradients[0] * ctx.saved_tensors[0]


class OpaqueD(Features):
    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        return Opaque.apply(super().forward(x))


class OpaqueLoss(NonSaturating):
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return Opaque.apply(super().discriminator(real, fake))


class OpaquePenalty(R2):
    def forward(self, *inputs: Any) -> Tensor:
        return Opaque.apply(super().forward(*inputs))


ONCE = r"cannot be differentiated twice: RuntimeError: trying to differentiate twice .* @once_differentiable\.$"
REFUSED = {
    rf"D \(OpaqueD\) {ONCE}": {"discriminator": OpaqueD((2,))},
    rf"loss \(OpaqueLoss\) {ONCE}": {"loss": OpaqueLoss()},
    rf"penalty\.mine {ONCE}": {"penalties_d": {"r2": R2(), "mine": OpaquePenalty()}},
    r"LBFGS has no differentiable form\. Use optimizer=adam or sgd for D\.$": {"optim_d": Optim(torch.optim.LBFGS)},
}


@pytest.mark.parametrize(("says", "parts"), REFUSED.items())
def test_a_part_whose_gradient_has_none_is_refused_by_name(says: str, parts: dict[str, Any]):
    g = MLPGenerator((2,), noise_dim=3, hidden=[8])
    batches = Batches(TensorData(torch.randn(16, 2)), g.draw, batch_size=8)
    others = {"discriminator": Features((2,)), "loss": NonSaturating(), "optim_d": Optim(torch.optim.Adam)}
    make = partial(GAN, g, batches=batches, optim_g=Optim(torch.optim.Adam), **{**others, **parts})
    make()
    with pytest.raises(UserError, match=f"^unroll=3: {says}"):
        make(unroll=3)
