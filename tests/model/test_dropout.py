"""Masks from an iteration's draws: what they do to a sample, and that resume and ranks need nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from programs import run_two
from states import same
from torch import nn

from ganduel.batch import Minibatch, discriminate
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.model.base import keyed_layers
from ganduel.model.dropout import Dropout
from ganduel.penalty.r1 import R1
from ganduel.rng import Draws
from ganduel.tracking.files import rows

DROPPING = ("model.discriminator.dropout=0.5", "model.discriminator.input_dropout=0.2")


KEY = (0, "update", 7)


def seeded(p=0.5, key=KEY, batch_size=4, rows=slice(None)):
    """A layer at the beginning of an iteration's draws."""
    layer = Dropout(p)
    layer.draws = Draws("cpu", batch_size, rows)
    layer.draws.seed(*key)
    return layer


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_the_fraction_dropped_and_the_scale_of_the_rest(p):
    """Of 100,000 inputs p is dropped, to four standard errors; the rest is scaled so that the mean stays."""
    y = seeded(p, batch_size=100)(torch.ones(100, 1000))
    dropped = (y == 0).double().mean().item()
    assert dropped == pytest.approx(p, abs=4 * (p * (1 - p) / y.numel()) ** 0.5)
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)))


def test_masks_are_of_single_inputs():
    """Neither whole samples nor whole units are dropped: neighbours along both axes are uncorrelated."""
    kept = (seeded(0.5, batch_size=300)(torch.ones(300, 300)) != 0).double() - 0.5
    for axis in (0, 1):
        assert (4 * kept * kept.roll(1, axis)).mean().abs() < 4 / 300


def test_the_gradient_passes_where_the_input_does():
    x = torch.randn(4, 6, requires_grad=True)
    y = seeded()(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, 2.0))


def test_evaluation_drops_nothing_and_needs_no_draws():
    x = torch.randn(5, 3)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(seeded().eval()(x), x)


def test_training_without_draws_is_refused():
    with pytest.raises(UserError, match=r"set `draws` before it, or call eval\(\)"):
        Dropout(0.5)(torch.ones(2, 2))


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_refuses_what_is_no_probability(p):
    with pytest.raises(UserError, match=f"dropout={p} must be at least 0 and below 1"):
        Dropout(p)


def test_the_same_key_gives_the_same_mask_and_any_other_another():
    x = torch.ones(4, 200)
    first = seeded()(x)
    torch.manual_seed(99)  # the global generator has no say
    assert torch.equal(seeded()(x), first)
    for key in ((1, "update", 7), (0, "saturation", 7), (0, "update", 8)):
        assert not torch.equal(seeded(key=key)(x), first)


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    seeded()(torch.ones(4, 3))
    assert torch.equal(torch.get_rng_state(), state)


def test_calls_have_masks_of_their_own_and_seeding_begins_again():
    layer, x = seeded(), torch.ones(4, 200)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    layer.draws.seed(*KEY)
    assert torch.equal(layer(x), first)


def test_layers_that_share_their_draws_have_masks_of_their_own():
    first, second = seeded(), Dropout(0.5)
    second.draws = first.draws
    x = torch.ones(4, 200)
    assert not torch.equal(first(x), second(x))


def test_minibatches_of_one_call_have_masks_of_their_own():
    y = seeded()(torch.ones(8, 200))
    assert not torch.equal(y[:4], y[4:])


@given(ranks=st.integers(1, 4), rows=st.integers(1, 3), minibatches=st.integers(1, 3), width=st.integers(1, 5))
def test_ranks_cut_their_rows_from_one_mask(ranks, rows, minibatches, width):
    """Of each minibatch in the call, as the samples are divided."""
    n = ranks * rows
    whole = seeded(batch_size=n)(torch.ones(minibatches * n, width)).unflatten(0, (minibatches, n))
    for rank in range(ranks):
        local = slice(rank * rows, (rank + 1) * rows)
        part = seeded(batch_size=n, rows=local)(torch.ones(minibatches * rows, width))
        assert torch.equal(part, whole[:, local].flatten(0, 1))


def test_samples_may_have_any_shape_and_fewer_rows():
    """Images; and a D that packs two samples into one row."""
    assert seeded()(torch.ones(8, 3, 5, 5)).shape == (8, 3, 5, 5)
    assert seeded()(torch.ones(2, 6)).shape == (2, 6)


def test_precision_is_kept():
    for dtype in (torch.float64, torch.bfloat16):
        assert seeded()(torch.ones(4, 3, dtype=dtype)).dtype == dtype


# In a GAN.


@pytest.fixture
def make(tiny: Callable, images) -> Callable:
    """Builds a tiny GAN with dropout in D, at the beginning of iteration t of one rank of several."""

    def make(*words: str, t: int = 0, rank: int = 0, ranks: int = 1):
        gan = build_gan(tiny(*DROPPING, *words), images)
        gan.batches.attach(gan, rank, ranks)
        gan.batches.seed_draws(t)
        return gan

    return make


def minibatch(gan, real, labels=None):
    """A minibatch with these real samples and the GAN's draws."""
    return Minibatch(real, labels, torch.empty(len(real), 3), labels, gan.batches.draws)


def test_a_gan_gives_all_layers_its_draws(make, tiny, images):
    gan = make()
    layers = [gan.discriminator.net[1], gan.discriminator.net[4]]
    assert keyed_layers(gan) == layers
    assert all(layer.draws is gan.batches.draws for layer in layers)
    assert keyed_layers(build_gan(tiny(), images)) == []


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_real_and_generated_samples_have_masks_of_their_own(make, norm):
    """In one pass and, under a BatchNorm, in two: the same samples as both get other logits."""
    x = torch.rand(4, 1, 2, 3)
    gan = make(f"model.discriminator.norm={norm}", "model.discriminator.hidden=[64]")
    assert gan.mixes_samples is (norm == "batch")
    on_real, on_fake = discriminate(gan.output, minibatch(gan, x), x, gan.mixes_samples)
    assert not torch.equal(on_real, on_fake)
    gan.discriminator.eval()
    on_real, on_fake = discriminate(gan.output, minibatch(gan, x), x, gan.mixes_samples)
    torch.testing.assert_close(on_real, on_fake)


def test_ranks_divide_the_masks_of_both_minibatches(make):
    """Logits of two halves of a minibatch are those of the whole."""
    real, fake = torch.rand(2, 4, 1, 2, 3)
    gan = make()
    whole = torch.stack(discriminate(gan.output, minibatch(gan, real), fake, gan.mixes_samples))
    for rank in (0, 1):
        gan = make(rank=rank, ranks=2)
        rows = gan.batches.rows
        half = discriminate(gan.output, minibatch(gan, real[rows]), fake[rows], gan.mixes_samples)
        torch.testing.assert_close(torch.stack(half), whole[:, rows])


def test_the_draws_of_every_iteration_have_a_key_of_their_own(fit, make, monkeypatch):
    """Each is seeded once, before its first update; its updates go on in one stream."""
    gan, events = make("k=2"), []
    draws = Draws.seed, Dropout.mask
    monkeypatch.setattr(Draws, "seed", lambda self, *key: events.append(key) or draws[0](self, *key))
    monkeypatch.setattr(Dropout, "mask", lambda self, x: events.append(len(x)) or draws[1](self, x))
    fit("trainer.max_steps=3", gan=gan)
    updates = [8, 8, 8, 8, 4, 4]  # two layers each: real and generated samples in D's, generated ones in G's
    assert events == [event for t in range(3) for event in ((0, "update", t), *updates)]


def test_training_with_dropout_leaves_the_global_generator_alone(fit, make):
    gan = make()
    state = torch.get_rng_state()
    fit(gan=gan)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_sees_the_masks(fit, make, tiny, images):
    """The same run without them ends elsewhere; with them again, in the same bits."""
    first, again, without = make(), make(), build_gan(tiny(), images)
    for gan in (first, again, without):
        fit(gan=gan)
    ends = [
        torch.cat([p.detach().flatten() for p in gan.discriminator.parameters()]) for gan in (first, again, without)
    ]
    assert torch.equal(ends[0], ends[1])
    assert not torch.allclose(ends[0], ends[2], atol=1e-4)


def test_penalties_differentiate_through_a_mask(make):
    """R1 of a linear D with dropout of its input is γ/2 E|w · mask|², by hand from the mask that it draws."""
    gan = make("model.discriminator.hidden=[]", "model.discriminator.dropout=0.0", t=7)
    x = torch.rand(4, 1, 2, 3)
    mask = seeded(0.2)(torch.ones(4, 6))
    weight = gan.discriminator.net[2].weight
    expected = 0.5 * (weight * mask).square().sum(1).mean()
    penalty = R1(gamma=1.0)(gan.logits, minibatch(gan, x), x)
    torch.testing.assert_close(penalty, expected)
    penalty.backward()
    torch.testing.assert_close(weight.grad, (weight * mask.square().mean(0)).detach())


def test_torchs_own_dropout_may_be_used_in_a_d(fit, make):
    """It is given no draws, and takes them from the global generator, as that is seeded for each iteration."""
    weights = []
    for _ in range(2):
        gan = make()
        gan.discriminator.net[4] = nn.Dropout(0.5)
        state = torch.get_rng_state()
        fit(gan=gan)
        assert torch.equal(torch.get_rng_state(), state)
        weights.append(next(gan.discriminator.parameters()))
        torch.rand(1)
    assert torch.equal(*weights)


SMALL = (
    *DROPPING,
    "model.discriminator.activation=maxout",
    "model.discriminator.pieces=2",
    "model.discriminator.hidden=[16]",
    "model.generator.hidden=[16]",
    "model.generator.noise_dim=4",
    "optimizer=sgd",
    "schedule=goodfellow2014",
    "schedule.discriminator.start=2",
    "schedule.discriminator.saturate=5",
    "batch_size=8",
    "trainer.accelerator=cpu",
    "callback=[statistics]",
    "log_every=1",
    "tracking=none",
)


def saved(folder: Path) -> dict:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_a_resumed_run_has_the_masks_and_momenta_of_a_whole_one(command, tmp_path: Path):
    """Three iterations and three more against six: the same bits."""
    assert command(*SMALL, "trainer.max_steps=6", "hydra.run.dir=whole").code == 0
    assert command(*SMALL, "trainer.max_steps=3", "hydra.run.dir=parts").code == 0
    half = saved(tmp_path / "parts")
    assert command("resume=parts", "trainer.max_steps=6").code == 0
    whole, parts = saved(tmp_path / "whole"), saved(tmp_path / "parts")
    state = ("state_dict", "optimizer_states", "lr_schedulers", "global_step")
    assert all(same(whole[key], parts[key]) for key in state)
    assert not same(half["state_dict"], parts["state_dict"])
    assert whole["optimizer_states"][0]["param_groups"][0]["momentum"] == pytest.approx(0.7)
    losses = [[row["loss/d"] for row in rows(tmp_path / name / "metrics.jsonl")] for name in ("whole", "parts")]
    assert losses[0] == losses[1]


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), ("penalty=r1", "penalty.r1.gamma=1.0", "k=2")], ids=["plain", "penalised, k=2"])
@pytest.mark.usefixtures("untyped")
def test_two_ranks_equal_one(command, tmp_path: Path, words: tuple[str, ...]):
    """Through the program, in float64 as in test_ranks.py."""
    words = (*SMALL, "trainer.max_steps=30", "trainer.precision=64-true", *words)
    assert command(*words, "hydra.run.dir=one").code == 0
    run_two(tmp_path, *words, "trainer.devices=2", "hydra.run.dir=two")
    one, two = (saved(tmp_path / name)["state_dict"] for name in ("one", "two"))
    assert max((one[key] - two[key]).abs().max().item() for key in one) < 1e-9
