"""The run ends at the first loss or gradient that is not finite, and says which it was and when."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from ganduel.callback.finite import QUANTITIES, Finite, divergence
from ganduel.callback.save import Save
from ganduel.checkpoint import latest, read
from ganduel.errors import Diverged
from ganduel.factory.gan import build_gan


def poisoned(gan, key, iteration, value=float("nan")):
    """The same GAN, one of whose outputs turns bad in one iteration, and is good again after it."""
    iterate = gan.iterate

    def poisoned_iterate(t):
        outputs = iterate(t)
        if t + 1 == iteration:
            outputs[key] = torch.tensor(value)
        return outputs

    gan.iterate = poisoned_iterate
    return gan


class EachBatch(Callback):
    """A user callback that sees each iteration, so that a block is one."""

    def on_train_batch_end(self, *_):
        pass


SOUND: Any = SimpleNamespace(non_finite=lambda t: None)  # batches whose real samples are finite
BLOCKS = pytest.mark.parametrize("callbacks", [[EachBatch()], []], ids=["blocks of one", "one block"])


@BLOCKS
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("loss/d", "D's loss became nan in iteration 3;"),
        ("loss/g", "G's loss became nan in iteration 3;"),
        ("grad/norm_d", "D's gradient became nan in iteration 3;"),
        ("grad/norm_g", "G's gradient became nan in iteration 3;"),
    ],
)
def test_names_the_quantity_and_the_iteration(fit, tiny, images, key, words, callbacks):
    """Also when it looks only later, at the end of a block."""
    with pytest.raises(Diverged, match=words):
        fit(callbacks=[*callbacks, Finite()], gan=poisoned(build_gan(tiny(), images), key, 3))


@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_infinity_counts(fit, tiny, images, value):
    with pytest.raises(Diverged, match=f"D's loss became {value} in iteration 2"):
        fit(callbacks=[Finite()], gan=poisoned(build_gan(tiny(), images), "loss/d", 2, float(value)))


@BLOCKS
def test_the_first_of_several_is_named(fit, tiny, images, callbacks):
    gan = poisoned(poisoned(build_gan(tiny(), images), "loss/d", 5), "grad/norm_g", 4)
    with pytest.raises(Diverged, match="G's gradient became nan in iteration 4"):
        fit(callbacks=[*callbacks, Finite()], gan=gan)


@pytest.mark.parametrize("iteration", [1, 5, 6])
def test_iterations_are_counted_over_several_blocks(fit, tiny, images, tmp_path, iteration):
    """In blocks of four and of two the number of the iteration is right."""
    with pytest.raises(Diverged, match=f"in iteration {iteration};"):
        fit(callbacks=[Finite(), Save(tmp_path, 4, {})], gan=poisoned(build_gan(tiny(), images), "loss/g", iteration))


@BLOCKS
def test_a_sound_run_is_left_alone(fit, callbacks):
    assert fit(callbacks=[*callbacks, Finite()]).global_step == 6


def test_gradients_may_be_left_out(fit, tiny, images):
    """Under an fp16 scaler infinite ones are skipped as a matter of course; losses still count."""
    gan = poisoned(build_gan(tiny(), images), "grad/norm_d", 2, float("inf"))
    assert fit(callbacks=[Finite(gradients=False)], gan=gan).global_step == 6
    with pytest.raises(Diverged):
        fit(callbacks=[Finite(gradients=False)], gan=poisoned(build_gan(tiny(), images), "loss/g", 2))


@pytest.mark.parametrize("iteration", [3, 4])
def test_a_bad_state_is_never_saved(fit, tiny, images, tmp_path, iteration):
    """The look comes before the checkpoint at the end of the same block."""
    callbacks = [Finite(), Save(tmp_path / "checkpoints", 2, {})]
    with pytest.raises(Diverged):
        fit(callbacks=callbacks, gan=poisoned(build_gan(tiny(), images), "loss/d", iteration))
    assert read(latest(tmp_path))["global_step"] == 2


def test_a_real_divergence_is_caught(fit):
    """Not staged: plain descent with an absurd rate."""
    rates = [f"optimizer.{name}.lr=1.0e+30" for name in ("discriminator", "generator")]
    with pytest.raises(Diverged, match="Try smaller learning rates"):
        fit("optimizer=sgd", *rates, callbacks=[Finite()])


def test_a_run_that_is_being_stopped_is_looked_at_before_it_is_saved(fit, tiny, images, tmp_path):
    """The checkpoint of a signal may come at any iteration."""

    class Stop(Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.should_stop = trainer.global_step == 5

    stop, save = Stop(), Save(tmp_path / "checkpoints", 3, {})
    with pytest.raises(Diverged, match="in iteration 4"):
        fit(callbacks=[stop, Finite(), save], gan=poisoned(build_gan(tiny(), images), "loss/d", 4))
    assert read(latest(tmp_path))["global_step"] == 3


@pytest.mark.usefixtures("untyped")
def test_what_is_not_finite_on_one_rank_ends_all():
    """The sum over the ranks is finite if it is so on all; here the other rank has a NaN in iteration 9."""
    block = [{key: torch.tensor(1.0) for key in QUANTITIES} for _ in range(3)]
    other = torch.ones(3, 4)
    other[1, 2] = float("nan")
    strategy = SimpleNamespace(reduce=lambda values, reduce_op: values + other)
    trainer = SimpleNamespace(
        lightning_module=SimpleNamespace(block_outputs=block, batches=SOUND),
        world_size=2,
        strategy=strategy,
        global_step=10,
    )
    with pytest.raises(Diverged, match="G's loss became nan in iteration 9;"):
        Finite().on_train_batch_end(trainer, None, None, None, 0)


@pytest.mark.usefixtures("untyped")
def test_a_block_is_numbered_backwards_from_its_last_iteration():
    values = torch.zeros(4, 4)
    assert divergence(values, 10, SOUND) is None
    values[2, 1] = float("inf")
    assert str(divergence(values, 10, SOUND)).startswith(
        "D's gradient became inf in iteration 9; the run ends. Try smaller"
    )
