"""Algorithm 1 by observation: what is updated when, on which data and noise, and that nothing else happens."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from small import SMALL
from torch.nn.functional import softplus

from ganduel import rng
from ganduel.batch import Minibatch
from ganduel.checkpoint_io import AtomicCheckpointIO
from ganduel.factory.gan import build_gan
from ganduel.factory.part import build
from ganduel.gan import GAN
from ganduel.optim import Optim
from ganduel.penalty.base import Penalty
from ganduel.run.run import quiet


@pytest.fixture
def gan_of(compose: Callable[..., dict]) -> Callable[..., GAN]:
    """A small GAN on MNIST from overrides."""

    def make(*overrides: str) -> GAN:
        values = compose(*SMALL, *overrides)
        return build_gan(values, build(values["data"]))

    return make


def train(gan: GAN, iterations: int, *callbacks: Callback, **options: Any) -> Trainer:
    """Let Lightning run the iterations, with nothing else around them."""
    trainer = Trainer(
        accelerator="cpu",
        max_steps=iterations,
        max_epochs=-1,
        logger=False,
        callbacks=list(callbacks),
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    quiet()
    trainer.fit(gan)
    return trainer


def weights(net: torch.nn.Module) -> torch.Tensor:
    """All weights of a network in one vector, copied."""
    return torch.cat([p.detach().flatten() for p in net.parameters()]).clone()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_an_iteration_updates_d_k_times_and_then_g_once(gan_of, monkeypatch, k: int):
    """Which network's weights change in each update, by comparing them before and after."""
    changed = []
    descend = GAN.descend

    def watched(gan: GAN, *arguments: Any):
        before = weights(gan.discriminator), weights(gan.generator)
        norm = descend(gan, *arguments)
        after = weights(gan.discriminator), weights(gan.generator)
        changed.append("".join(n for n, b, a in zip("DG", before, after, strict=True) if not torch.equal(b, a)))
        return norm

    monkeypatch.setattr(GAN, "descend", watched)
    trainer = train(gan_of(f"k={k}"), 3)
    assert changed == (["D"] * k + ["G"]) * 3
    assert trainer.global_step == 3  # one iteration, one step


@pytest.mark.parametrize("k", [1, 2, 5])
def test_every_update_has_fresh_data_and_fresh_noise(gan_of, k: int):
    gan, data, noise = gan_of(f"k={k}"), [], []
    minibatch = gan.batches.data.minibatch

    def watched(*arguments: Any):
        data.append(minibatch(*arguments)[0])
        return data[-1], None

    gan.batches.data.minibatch = watched
    gan.generator.register_forward_pre_hook(lambda net, inputs: noise.append(inputs[0].clone()))
    train(gan, 3)
    assert len(data) == 3 * k
    assert len(noise) == 3 * (k + 1)
    assert len({tuple(x.flatten().tolist()) for x in data}) == len(data)
    assert len({tuple(z.flatten().tolist()) for z in noise}) == len(noise)


def test_d_and_g_leave_each_others_gradients_alone(gan_of, monkeypatch):
    """D's updates put nothing into G's gradient, G's update nothing into D's, and D's flags come back as they were."""
    descend = GAN.descend

    def watched(gan: GAN, optim: Optim, *arguments: Any):
        other = gan.generator if optim is gan.optim_d else gan.discriminator
        before = [None if p.grad is None else p.grad.clone() for p in other.parameters()]
        norm = descend(gan, optim, *arguments)
        for p, old in zip(other.parameters(), before, strict=True):
            assert (p.grad is None) == (old is None)
            assert old is None or torch.equal(p.grad, old)
        return norm

    monkeypatch.setattr(GAN, "descend", watched)
    gan = gan_of("k=2")
    gan.discriminator.net[1].bias.requires_grad_(False)  # a user froze it
    train(gan, 3)
    flags = {name: p.requires_grad for name, p in gan.discriminator.named_parameters()}
    assert flags == {name: name != "net.1.bias" for name in flags}


@pytest.mark.parametrize("form", ["saturating", "nonsaturating"])
def test_training_is_algorithm_1_written_out(gan_of, form: str):
    """Five iterations with k = 2 against plain torch: same weights, same average, to rounding."""
    words = ("k=2", "optimizer=sgd", "ema.half_life_kimg=0.008", "ema.ramp=null", "ema.every_n_iterations=2")
    gan = gan_of(f"loss={form}", *words)
    d, g = copy.deepcopy(gan.discriminator), copy.deepcopy(gan.generator)
    average = copy.deepcopy(g)
    opt_d = torch.optim.SGD(d.parameters(), 0.1, momentum=0.5)
    opt_g = torch.optim.SGD(g.parameters(), 0.1, momentum=0.5)
    for t in range(5):
        z = torch.randn(32 * 24, 4, generator=rng.generator(0, "noise", 0))[24 * t : 24 * (t + 1)].split(8)
        for j in range(2):
            real, _ = gan.batches.data.minibatch(0, 2 * t + j, 8)
            loss = softplus(-d(real)).mean() + softplus(d(g(z[j]).detach())).mean()
            opt_d.zero_grad()
            loss.backward()
            opt_d.step()
        b = d(g(z[2]))
        loss = softplus(-b).mean() if form == "nonsaturating" else -softplus(b).mean()
        opt_g.zero_grad()
        loss.backward()
        opt_g.step()
        if weight := {0: 0.5, 1: 0.5, 3: 0.75}.get(t):  # a half-life of 8 images, which is one iteration
            for mine, theirs in zip(average.parameters(), g.parameters(), strict=True):
                mine.data.lerp_(theirs.data, weight)
    train(gan, 5)
    for ours, plain in ((gan.discriminator, d), (gan.generator, g), (gan.ema.net, average)):
        torch.testing.assert_close(weights(ours), weights(plain), rtol=1e-5, atol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not(gan_of):
    first, again, other = (gan_of(f"seed={seed}") for seed in (0, 0, 1))
    torch.manual_seed(0)
    train(first, 4)
    torch.manual_seed(123)  # the global generator has no say
    train(again, 4)
    train(other, 4)
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(other))


def test_training_draws_nothing_from_the_global_generator(gan_of):
    gan = gan_of()
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    train(gan, 2)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_clipping_bounds_the_gradient_and_the_norm_is_that_before_it(gan_of):
    """With SGD without momentum the step is lr times the clipped gradient."""

    class Watch(Callback):
        def on_train_batch_start(self, trainer, module, *_):
            self.before = weights(module.generator), weights(module.discriminator)

        def on_train_batch_end(self, trainer, module, outputs, *_):
            self.norms = outputs["grad/norm_g"].item(), outputs["grad/norm_d"].item()
            self.steps = (weights(module.generator) - self.before[0], weights(module.discriminator) - self.before[1])

    watch = Watch()
    momentum = ("optimizer.generator.momentum=0", "optimizer.discriminator.momentum=0")
    train(gan_of("optimizer=sgd", *momentum, "clip.generator=0.01", "clip.discriminator=1000"), 1, watch)
    assert watch.norms[0] > 0.05
    assert watch.steps[0].norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert watch.steps[1].norm().item() == pytest.approx(0.1 * watch.norms[1], rel=1e-3)  # not clipped


def test_schedules_step_once_an_iteration_for_each_network(gan_of):
    gan = gan_of("k=3", "schedule=exponential", "schedule.discriminator.gamma=0.5", "schedule.generator.gamma=0.9")
    trainer = train(gan, 4)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
    assert rates == pytest.approx([1e-3 * 0.5**4, 1e-3 * 0.9**4])


def test_batch_norm_in_d_sees_real_and_generated_samples_apart(gan_of):
    batches = {"none": [], "batch": []}
    for norm, seen in batches.items():
        gan = gan_of(f"model.discriminator.norm={norm}")
        gan.discriminator.register_forward_pre_hook(lambda net, inputs, seen=seen: seen.append(len(inputs[0])))
        train(gan, 1)
    assert batches == {"none": [16, 8], "batch": [8, 8, 8]}


def test_a_relativistic_form_gets_real_logits_in_gs_update(gan_of, monkeypatch):
    gan = gan_of("k=2")
    monkeypatch.setattr(gan.loss, "generator_uses_real", True)
    seen = []
    monkeypatch.setattr(gan.loss, "generator", lambda real, fake: seen.append(real.shape) or (real - fake).mean())
    train(gan, 2)
    assert seen == [(8,), (8,)]


def test_bfloat16_takes_the_losses_in_float32_and_the_penalty_without_autocast(gan_of):
    class Watch(Callback):
        def on_train_batch_end(self, trainer, module, outputs, *_):
            self.outputs = outputs

    class Check(Penalty):
        def forward(self, net: Any, b: Minibatch, fake: torch.Tensor) -> torch.Tensor:
            assert not torch.is_autocast_enabled("cpu")
            assert fake.dtype == torch.float32
            return b.real.new_zeros(())

    watch, gan = Watch(), gan_of()
    gan.penalties_d["check"] = Check()
    train(gan, 2, watch, precision="bf16-mixed")
    assert {x.dtype for x in watch.outputs.values()} == {torch.float32}
    assert gan.generator.net[0].weight.dtype == torch.float32


def test_logits_of_a_wrong_shape_are_refused(gan_of):
    """(batch, 1) would broadcast to a matrix in a relativistic form."""
    gan = gan_of()
    gan.discriminator = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 1))
    with pytest.raises(ValueError, match=r"one logit per sample.*\(16, 1\)"):
        train(gan, 1)


def test_samples_come_from_the_average_where_there_is_one(gan_of):
    with_average, without = gan_of(), gan_of("ema=null")
    assert with_average.ema_generator is with_average.ema.net
    assert without.ema_generator is without.generator
    assert train(without, 1).global_step == 1


def test_the_average_is_not_trained_itself(gan_of, tmp_path: Path):
    gan = gan_of()
    trainer = train(gan, 1)
    trained = {id(p) for optimizer in trainer.optimizers for group in optimizer.param_groups for p in group["params"]}
    assert trained == {id(p) for p in [*gan.generator.parameters(), *gan.discriminator.parameters()]}


def written_out(gan: GAN, iterations: int, cached: bool) -> None:
    """Algorithm 1 in bfloat16 with k = 2, as one would write it: autocast around each forward pass, or around all."""
    d, g, batches = gan.discriminator, gan.generator, gan.batches
    opt_d, opt_g = torch.optim.SGD(d.parameters(), 0.1), torch.optim.SGD(g.parameters(), 0.1)

    def logits(x: torch.Tensor) -> torch.Tensor:
        return d(x).float()

    for t in range(iterations):
        batch = batches(t)
        for b in batch.discriminator:
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=cached):
                with torch.no_grad():
                    fake = g(b.noise)
                real_logits, fake_logits = logits(torch.cat([b.real.to(fake.dtype), fake])).chunk(2)
                loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
            opt_d.zero_grad()
            loss.backward()
            opt_d.step()
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=cached):
            loss = softplus(-logits(g(batch.generator.noise))).mean()
        opt_g.zero_grad()
        loss.backward()
        opt_g.step()


def test_k_updates_in_bfloat16_see_the_weights_of_their_time_though_autocast_caches(gan_of, monkeypatch):
    """Autocast keeps casted weights until its outermost region ends, which is around all updates of an iteration.

    Lightning switches that off; here it is on.
    """

    def caching(plugin: Any) -> Any:
        return torch.autocast("cpu", torch.bfloat16, cache_enabled=True)

    monkeypatch.setattr(MixedPrecision, "forward_context", caching)
    words = ("k=2", "optimizer=sgd", "ema=null")
    momentum = ("optimizer.generator.momentum=0", "optimizer.discriminator.momentum=0")
    ours, plain, uncached = (gan_of(*words, *momentum) for _ in range(3))
    written_out(plain, 4, cached=True)
    written_out(uncached, 4, cached=False)
    train(ours, 4, precision="bf16-mixed")
    assert torch.equal(weights(plain), weights(uncached))  # a region of its own for each update needs no clearing
    torch.testing.assert_close(weights(ours), weights(plain), rtol=0, atol=1e-6)
