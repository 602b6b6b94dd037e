"""Lightning's loop is passed over, and nothing but the time tells: counts, callbacks, checkpoints and ends agree."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from small import EVALUATION, SMALL
from states import same

from ganduel.build import build_gan
from ganduel.callback.save import Save
from ganduel.callback.statistics import Statistics
from ganduel.callback.stop import StopOnSignal
from ganduel.checkpoint import LAST, read
from ganduel.gan import GAN
from ganduel.loop import Loop
from ganduel.tracking.files import METRICS, rows

CLOCK = {"seconds", "speed/images_per_second"}
BOTH = {"passed_over": True, "lightnings": False}


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    "words",
    [
        ("k=2", "schedule=linear", "clip.generator=0.1"),
        pytest.param(("trainer.precision=bf16-mixed", "penalty=r1"), marks=pytest.mark.slow),
    ],
    ids=["k=2, clipped", "bf16, penalised"],
)
def test_rows_and_checkpoints_are_those_of_lightnings_loop(
    command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
):
    """Also after a resume; what follows an iteration runs outside of its autocast."""
    for name, passed in BOTH.items():
        monkeypatch.setattr(Loop, "all_ours", passed)
        run = (*SMALL, *EVALUATION, *words, "log_every=3", "checkpoint_every=4", "tracking=none")
        assert command(*run, "trainer.max_steps=7", f"hydra.run.dir={name}").code == 0
        assert command(f"resume={name}", "trainer.max_steps=11").code == 0
    records = [[{k: v for k, v in row.items() if k not in CLOCK} for row in rows(tmp_path / n / METRICS)] for n in BOTH]
    assert records[0] == records[1]
    assert records[0][-1]["iteration"] == 11
    ours, lightnings = (read(tmp_path / name / "checkpoints" / LAST) for name in BOTH)
    for checkpoint in (ours, lightnings):
        del checkpoint["ganduel"], checkpoint["callbacks"]  # when and where
    assert ours["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["started"] == 11
    assert same(ours, lightnings)


@pytest.mark.parametrize("passed", BOTH.values(), ids=BOTH)
def test_a_signal_ends_the_iteration_in_which_it_comes(fit, monkeypatch, tiny, images, tmp_path, passed: bool):
    monkeypatch.setattr(Loop, "all_ours", passed)
    gan = build_gan(tiny(), images)
    iterate = gan.iterate

    def interrupted(t: int) -> dict[str, torch.Tensor]:
        if t == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return iterate(t)

    gan.iterate = interrupted
    trainer = fit(gan=gan, callbacks=[StopOnSignal(), Save(tmp_path, 100, {})])
    assert trainer.global_step == 3
    saved = read(tmp_path / LAST)
    assert saved["global_step"] == 3
    counts = saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
    assert (counts["ready"], counts["started"], counts["processed"], counts["completed"]) == (3, 3, 3, 2)
    assert saved["loops"]["fit_loop"]["epoch_loop.state_dict"]["_batches_that_stepped"] == 2


class Counting(Callback):
    """A user's, which wants to be asked before each iteration."""

    begun = 0

    def on_train_batch_start(self, *_: Any) -> None:
        self.begun += 1


class Ending(Callback):
    """A user's, which wants nothing of each iteration."""

    ended = False

    def on_train_end(self, *_: Any) -> None:
        self.ended = True


def test_a_callback_that_is_not_ours_is_asked_each_time(fit):
    counting, ending = Counting(), Ending()
    assert not fit(callbacks=[counting]).lightning_module.all_ours
    assert counting.begun == 6
    assert fit(callbacks=[ending]).lightning_module.all_ours
    assert ending.ended


class Counted(Statistics):
    """A user's, made of ours: it may look at every iteration."""

    seen = 0

    def on_train_batch_end(self, *arguments: Any) -> None:
        self.seen += 1


def test_ours_are_called_when_they_are_due_and_what_is_made_of_them_each_time(fit, monkeypatch):
    called, end = [], Statistics.on_train_batch_end

    def noted(statistics: Statistics, trainer: Any, *rest: Any) -> None:
        called.append(trainer.global_step)
        end(statistics, trainer, *rest)

    monkeypatch.setattr(Statistics, "on_train_batch_end", noted)
    fit("trainer.max_steps=20", callbacks=[Statistics(6)])
    assert called == [1, 6, 12, 18, 20]
    counted = Counted(50)
    fit("trainer.max_steps=20", callbacks=[counted])
    assert counted.seen == 20


class Listening(GAN):
    """A user's module, with a hook of Lightning's."""

    heard = 0

    def on_after_backward(self) -> None:
        self.heard += 1


class Stepping(Callback):
    """A user's, which looks at gradients."""

    norms: ClassVar[list[float]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.norms.append(sum(float(p.grad.square().sum()) for p in optimizer.param_groups[0]["params"]))


def test_hooks_of_an_update_are_called_where_somebody_has_one_and_change_no_bit(fit, tiny, images):
    gans = [build_gan(tiny("k=2"), images, kind) for kind in (GAN, Listening, GAN)]
    stepping = Stepping()
    for gan, callbacks in zip(gans, ([], [], [stepping]), strict=True):
        fit("k=2", gan=gan, callbacks=callbacks)
    assert [gan.all_plain for gan in gans] == [True, False, False]
    assert gans[1].heard == len(stepping.norms) == 6 * 3
    assert all(norm > 0 for norm in stepping.norms)
    states = [gan.state_dict() for gan in gans]
    assert same(states[0], states[1])
    assert same(states[0], states[2])


def test_a_loss_scale_and_a_plugin_of_a_users_are_lightnings(fit, monkeypatch):
    class Mine(Precision):
        """A user's."""

    gan = fit().lightning_module
    for plugin, plain in ((Precision(), True), (MixedPrecision("bf16-mixed", "cpu"), True), (Mine(), False)):
        gan.__dict__.pop("all_plain")
        monkeypatch.setattr(gan.trainer.strategy, "_precision_plugin", plugin)
        assert gan.all_plain is plain
    scaled = MixedPrecision("bf16-mixed", "cpu")
    scaled.scaler = object()
    del gan.all_plain
    monkeypatch.setattr(gan.trainer.strategy, "_precision_plugin", scaled)
    assert not gan.all_plain
