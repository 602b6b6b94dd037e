"""The run ends at the first number that is none, and says which it was and when."""

import pytest
import torch
from lightning.pytorch import Callback

from ganduel.build import build_gan
from ganduel.callback.finite import Finite
from ganduel.callback.save import Save
from ganduel.checkpoint import latest, read
from ganduel.errors import Diverged


def poisoned(gan, key, iteration, value=float("nan")):
    """The same duel, one of whose numbers turns bad in one iteration, and is good again after it."""
    step = gan.training_step

    def training_step(batch, batch_idx):
        outputs = step(batch, batch_idx)
        if gan.global_step == iteration:
            outputs[key] = torch.tensor(value)
        return outputs

    gan.training_step = training_step
    return gan


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("loss/d", "D's loss became nan in iteration 3;"),
        ("loss/g", "G's loss became nan in iteration 3;"),
        ("grad/norm_d", "D's gradient became nan in iteration 3;"),
        ("grad/norm_g", "G's gradient became nan in iteration 3;"),
    ],
)
def test_names_the_number_and_the_iteration(fit, tiny, images, key, words):
    """Also when it looks only later."""
    for every in (1, 100):
        with pytest.raises(Diverged, match=words):
            fit(callbacks=[Finite(every, 100)], gan=poisoned(build_gan(tiny(), images), key, 3))


@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_infinity_counts(fit, tiny, images, value):
    with pytest.raises(Diverged, match=f"D's loss became {value} in iteration 2"):
        fit(callbacks=[Finite(4, 100)], gan=poisoned(build_gan(tiny(), images), "loss/d", 2, float(value)))


def test_the_first_of_several_is_named(fit, tiny, images):
    gan = poisoned(poisoned(build_gan(tiny(), images), "loss/d", 5), "grad/norm_g", 4)
    with pytest.raises(Diverged, match="G's gradient became nan in iteration 4"):
        fit(callbacks=[Finite(100, 100)], gan=gan)


def test_iterations_are_counted_over_several_looks(fit, tiny, images):
    """What was looked at is forgotten, and the number of the iteration still right."""
    with pytest.raises(Diverged, match="in iteration 5"):
        fit(callbacks=[Finite(2, 100)], gan=poisoned(build_gan(tiny(), images), "loss/g", 5))


def test_a_sound_run_is_left_alone(fit):
    callback = Finite(100, 100)
    trainer = fit(callbacks=[callback])
    assert trainer.global_step == 6
    assert callback.kept == [], "the last iteration looks too"


def test_gradients_may_be_left_out(fit, tiny, images):
    """Under an fp16 scaler infinite ones are skipped as a matter of course; losses still count."""
    gan = poisoned(build_gan(tiny(), images), "grad/norm_d", 2, float("inf"))
    assert fit(callbacks=[Finite(1, 100, gradients=False)], gan=gan).global_step == 6
    with pytest.raises(Diverged):
        fit(callbacks=[Finite(1, 100, gradients=False)], gan=poisoned(build_gan(tiny(), images), "loss/g", 2))


def test_a_bad_state_is_never_saved(fit, tiny, images, tmp_path):
    """The look comes before the checkpoint of the same iteration."""
    callbacks = [Finite(100, 2), Save(tmp_path / "checkpoints", 2, {})]
    with pytest.raises(Diverged):
        fit(callbacks=callbacks, gan=poisoned(build_gan(tiny(), images), "loss/d", 4))
    assert read(latest(tmp_path))["global_step"] == 2


def test_a_real_divergence_is_caught(fit):
    """Not staged: plain descent with an absurd rate."""
    rates = [f"optimizer.{name}.lr=1.0e+30" for name in ("discriminator", "generator")]
    with pytest.raises(Diverged, match="Try smaller learning rates"):
        fit("optimizer=sgd", *rates, callbacks=[Finite(1, 100)])


def test_a_run_that_is_being_stopped_is_looked_at_before_it_is_saved(fit, tiny, images, tmp_path):
    """The checkpoint of a signal may come at any iteration."""

    class Stop(Callback):
        def on_train_batch_end(self, trainer, *_):
            trainer.should_stop = trainer.global_step == 5

    save = Save(tmp_path / "checkpoints", 3, {})
    with pytest.raises(Diverged, match="in iteration 4"):
        fit(callbacks=[Stop(), Finite(100, 3), save], gan=poisoned(build_gan(tiny(), images), "loss/d", 4))
    assert read(latest(tmp_path))["global_step"] == 3


def test_numbers_that_others_have_kept_stand_in_their_place():
    finite = Finite(100, 100)
    finite.kept = [torch.tensor(float(i)) for i in range(4)]
    finite.keep(torch.arange(4.0, 12).view(2, 4))
    finite.keep(torch.arange(12.0, 16).view(1, 4))
    finite.kept = [torch.tensor(float(i)) for i in range(16, 20)]
    assert torch.equal(torch.cat([*finite.before, *finite.rows()]), torch.arange(20.0).view(5, 4))
