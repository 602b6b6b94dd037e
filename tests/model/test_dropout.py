"""Masks that follow from their key: what they do to a sample, and that resume, ranks and metrics need nothing else."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from states import same
from torch import nn

from ganduel.build import build_gan
from ganduel.errors import UserError
from ganduel.model.dropout import Dropout
from ganduel.penalty.r1 import R1
from ganduel.tracking.files import rows

TRAIN = Path(__file__).parents[2] / "train.py"
DROPPING = ("model.discriminator.dropout=0.5", "model.discriminator.input_dropout=0.2")


def placed(p=0.5, key=(0, "layer", "d.1", 7, 0), batch_size=4, share=slice(None)):
    """A layer at the beginning of an update."""
    layer = Dropout(p)
    layer.reseed(key, batch_size, share)
    return layer


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_the_share_dropped_and_the_scale_of_the_rest(p):
    """Of 100,000 inputs p is dropped, to four standard errors; the rest is scaled so that the mean stays."""
    y = placed(p, batch_size=100)(torch.ones(100, 1000))
    dropped = (y == 0).double().mean().item()
    assert dropped == pytest.approx(p, abs=4 * (p * (1 - p) / y.numel()) ** 0.5)
    torch.testing.assert_close(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)))


def test_masks_are_of_single_inputs():
    """Neither whole samples nor whole units are dropped: neighbours along both axes are uncorrelated."""
    kept = (placed(0.5, batch_size=300)(torch.ones(300, 300)) != 0).double() - 0.5
    for axis in (0, 1):
        assert (4 * kept * kept.roll(1, axis)).mean().abs() < 4 / 300


def test_the_gradient_passes_where_the_input_does():
    x = torch.randn(4, 6, requires_grad=True)
    y = placed()(x)
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.where(y == 0, 0.0, 2.0))


def test_evaluation_drops_nothing_and_needs_no_key():
    x = torch.randn(5, 3)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(placed().eval()(x), x)


def test_training_without_a_place_is_refused():
    with pytest.raises(UserError, match=r"reseed\(\) before it, or eval\(\)"):
        Dropout(0.5)(torch.ones(2, 2))


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_refuses_what_is_no_share(p):
    with pytest.raises(UserError, match=f"dropout={p} must be at least 0 and below 1"):
        Dropout(p)


def test_the_same_key_gives_the_same_mask_and_any_other_another():
    x = torch.ones(4, 200)
    first = placed()(x)
    torch.manual_seed(99)  # the global generator has no say
    assert torch.equal(placed()(x), first)
    for key in (
        (1, "layer", "d.1", 7, 0),
        (0, "layer", "d.2", 7, 0),
        (0, "layer", "d.1", 8, 0),
        (0, "layer", "d.1", 7, 1),
    ):
        assert not torch.equal(placed(key=key)(x), first)


def test_the_global_generator_is_left_alone():
    state = torch.get_rng_state()
    placed()(torch.ones(4, 3))
    assert torch.equal(torch.get_rng_state(), state)


def test_calls_of_an_update_have_masks_of_their_own_and_reseed_begins_again():
    layer, x = placed(), torch.ones(4, 200)
    first, second = layer(x), layer(x)
    assert not torch.equal(first, second)
    layer.reseed((0, "layer", "d.1", 7, 0), 4, slice(None))
    assert torch.equal(layer(x), first)


def test_minibatches_of_one_call_have_masks_of_their_own():
    y = placed()(torch.ones(8, 200))
    assert not torch.equal(y[:4], y[4:])


@given(ranks=st.integers(1, 4), rows=st.integers(1, 3), minibatches=st.integers(1, 3), width=st.integers(1, 5))
def test_ranks_cut_their_rows_from_one_mask(ranks, rows, minibatches, width):
    """Of each minibatch in the call, as the samples are shared."""
    n = ranks * rows
    whole = placed(batch_size=n)(torch.ones(minibatches * n, width)).unflatten(0, (minibatches, n))
    for rank in range(ranks):
        share = slice(rank * rows, (rank + 1) * rows)
        part = placed(batch_size=n, share=share)(torch.ones(minibatches * rows, width))
        assert torch.equal(part, whole[:, share].flatten(0, 1))


def test_samples_may_have_any_shape_and_fewer_rows():
    """Images; and a D that packs two samples into one row."""
    assert placed()(torch.ones(8, 3, 5, 5)).shape == (8, 3, 5, 5)
    assert placed()(torch.ones(2, 6)).shape == (2, 6)


def test_precision_is_kept():
    for dtype in (torch.float64, torch.bfloat16):
        assert placed()(torch.ones(4, 3, dtype=dtype)).dtype == dtype


# In a duel.


@pytest.fixture
def duel(tiny: Callable, images) -> Callable:
    """A tiny duel with dropout in D, at the beginning of iteration t."""

    def make(*words: str, t: int = 0, share: slice = slice(None)):
        gan = build_gan(tiny(*DROPPING, *words), images)
        gan.share = share
        gan.reseed(t, 0)
        return gan

    return make


def test_a_duel_knows_the_layers_to_tell(duel, tiny, images):
    assert list(duel().reseeded) == ["discriminator.net.1", "discriminator.net.4"]
    assert build_gan(tiny(), images).reseeded == {}


def test_real_and_generated_samples_are_masked_apart(duel):
    """In one pass and, under a BatchNorm, in two: the same samples as both get other logits."""
    x = torch.rand(4, 1, 2, 3)
    for norm in ("none", "batch"):
        gan = duel(f"model.discriminator.norm={norm}", "model.discriminator.hidden=[64]")
        on_real, on_fake = gan.discriminate(x, x)
        assert not torch.equal(on_real, on_fake)
        gan.discriminator.eval()
        on_real, on_fake = gan.discriminate(x, x)
        torch.testing.assert_close(on_real, on_fake)


def test_ranks_share_the_masks_of_both_minibatches(duel):
    """Logits of two halves of a minibatch are those of the whole."""
    real, fake = torch.rand(2, 4, 1, 2, 3)
    whole = torch.stack(duel().discriminate(real, fake))
    for share in (slice(0, 2), slice(2, 4)):
        torch.testing.assert_close(
            torch.stack(duel(share=share).discriminate(real[share], fake[share])), whole[:, share]
        )


def test_every_update_of_every_iteration_is_told(fit, duel, monkeypatch):
    """The k of D and the one of G, each under a key of its own."""
    gan, told = duel("k=2"), []
    layer = gan.reseeded["discriminator.net.4"]
    reseed = layer.reseed
    monkeypatch.setattr(layer, "reseed", lambda *arguments: told.append(arguments[0]) or reseed(*arguments))
    fit("trainer.max_steps=3", gan=gan)
    assert told == [(0, "layer", "discriminator.net.4", t, update) for t in range(3) for update in range(3)]


def test_training_with_dropout_leaves_the_global_generator_alone(fit, duel):
    gan = duel()
    state = torch.get_rng_state()
    fit(gan=gan)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_sees_the_masks(fit, duel, tiny, images):
    """The same run without them ends elsewhere; with them again, in the same bits."""
    first, again, without = duel(), duel(), build_gan(tiny(), images)
    for gan in (first, again, without):
        fit(gan=gan)
    ends = [
        torch.cat([p.detach().flatten() for p in gan.discriminator.parameters()]) for gan in (first, again, without)
    ]
    assert torch.equal(ends[0], ends[1])
    assert not torch.allclose(ends[0], ends[2], atol=1e-4)


def test_penalties_differentiate_through_a_mask(duel):
    """R1 of a linear D with dropout of its input is γ/2 E|w · mask|², by hand from the mask that it draws."""
    gan = duel("model.discriminator.hidden=[]", "model.discriminator.dropout=0.0")
    x = torch.rand(4, 1, 2, 3)
    mask = placed(0.2, key=(0, "layer", "discriminator.net.1", 0, 0))(torch.ones(4, 6))
    weight = gan.discriminator.net[2].weight
    expected = 0.5 * (weight * mask).square().sum(1).mean()
    found = R1(gamma=1.0)(gan.discriminator, x, x)
    torch.testing.assert_close(found, expected)
    found.backward()
    torch.testing.assert_close(weight.grad, (weight * mask.square().mean(0)).detach())


def test_torchs_own_dropout_may_be_used_in_a_d(fit, duel):
    """Nothing is told to it; it draws from the global generator."""
    gan = duel()
    gan.discriminator.net[4] = nn.Dropout(0.5)
    state = torch.get_rng_state()
    fit(gan=gan)
    assert not torch.equal(torch.get_rng_state(), state)


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
@pytest.mark.parametrize("words", [(), ("penalty=r1", "penalty.gamma=1.0", "k=2")], ids=["plain", "penalised, k=2"])
def test_two_ranks_equal_one(tmp_path: Path, words: tuple[str, ...]):
    """Through the program, in float64 as in test_ranks.py."""
    ends = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        steps = ("trainer.max_steps=30", "trainer.precision=64-true", f"trainer.devices={ranks}")
        command = [sys.executable, str(TRAIN), *SMALL, *steps, *words, f"hydra.run.dir={folder}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        ends.append(saved(folder)["state_dict"])
    assert max((ends[0][key] - ends[1][key]).abs().max().item() for key in ends[0]) < 1e-9
