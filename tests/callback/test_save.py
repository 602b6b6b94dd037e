"""Checkpoints at iteration 0, every n-th, and at the end; each says what it is."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy

from ganduel.callback import save
from ganduel.callback.save import Save
from ganduel.checkpoint import INITIAL, LAST, read
from ganduel.data.base import TensorData
from ganduel.factory.gan import build_gan


class Watch(Callback):
    """Records after which iterations last.ckpt was written anew."""

    def __init__(self, folder):
        self.path, self.seen, self.at = folder / LAST, None, []

    def on_train_batch_start(self, trainer, *arguments):
        self.look(trainer)

    def on_train_end(self, trainer, pl_module):
        self.look(trainer)

    def look(self, trainer):
        if self.path.is_file() and self.path.stat().st_ino != self.seen:
            self.seen = self.path.stat().st_ino
            self.at.append(read(self.path)["global_step"])


@pytest.mark.parametrize("every", [1, 2, 4, 100])
def test_no_block_goes_past_an_iteration_that_is_to_be_saved(fit, tmp_path, monkeypatch, every):
    """Without a user callback, which would make each block one iteration."""
    saved = []
    monkeypatch.setattr(Trainer, "save_checkpoint", lambda trainer, path: saved.append(trainer.global_step))
    fit(callbacks=[Save(tmp_path, every, {})])
    assert saved == [0, *sorted({*range(every, 7, every), 6})]


class StopAt(Callback):
    def __init__(self, iteration):
        self.iteration = iteration

    def on_train_batch_end(self, trainer, *arguments):
        trainer.should_stop = trainer.global_step == self.iteration


@pytest.mark.parametrize(("every", "expected"), [(1, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (4, [4, 6]), (100, [6])])
def test_every_nth_and_the_last(fit, tmp_path, every, expected):
    watch = Watch(tmp_path)
    fit(callbacks=[watch, Save(tmp_path, every, {})])
    assert watch.at == expected


@pytest.mark.parametrize(
    ("min_seconds", "expected"), [(0.0, [1, 2, 3, 4, 5, 6]), (2.0, [2, 4, 6]), (2.5, [3, 6]), (9.0, [6])]
)
def test_not_more_often_than_is_wanted(fit, tmp_path, monkeypatch, min_seconds, expected):
    """One iteration per second, by a clock that stands still in between; the last one is saved in any case."""
    watch, now = Watch(tmp_path), [100.0]

    class Second(Callback):
        def on_train_batch_start(self, *arguments):
            now[0] += 1

    monkeypatch.setattr(save.time, "monotonic", lambda: now[0])
    fit(callbacks=[Second(), watch, Save(tmp_path, 1, {}, min_seconds)])
    assert watch.at == expected


def test_of_a_run_on_several_ranks_the_first_ones_clock_counts(fit, tmp_path, monkeypatch):
    watch = Watch(tmp_path)
    monkeypatch.setattr(SingleDeviceStrategy, "broadcast", lambda self, answer: True)
    fit(callbacks=[watch, Save(tmp_path, 2, {}, 1e9)])
    assert watch.at == [2, 4, 6]


def test_where_it_is_stopped(fit, tmp_path):
    """A run that another callback stops is saved as it is then."""
    trainer = fit(callbacks=[StopAt(3), Save(tmp_path, 100, {})])
    assert trainer.global_step == 3
    assert read(tmp_path / LAST)["global_step"] == 3


def test_initial_weights_are_kept(fit, tiny, images, tmp_path):
    fit("seed=3", callbacks=[Save(tmp_path, 2, {})])
    initial = read(tmp_path / INITIAL)
    assert initial["global_step"] == 0
    fresh = build_gan(tiny("seed=3"), images).state_dict()
    assert fresh.keys() == initial["state_dict"].keys()
    assert all(torch.equal(value, fresh[key]) for key, value in initial["state_dict"].items())
    last = read(tmp_path / LAST)["state_dict"]
    assert not any(torch.equal(value, fresh[key]) for key, value in last.items() if key.endswith("weight"))


def test_a_checkpoint_says_what_it_is(fit, tmp_path):
    """And loads with `weights_only=True`, which `read` asks for."""
    fit(callbacks=[Save(tmp_path, 2, {"seed": 0, "hidden": [8], "ema": None})])
    entry = read(tmp_path / LAST)["ganduel"]
    config = {"seed": 0, "hidden": [8], "ema": None}
    assert entry == {"format": 2, "config": config, "shape": [1, 2, 3], "image": True, "classes": None}


@pytest.mark.usefixtures("untyped")
def test_a_checkpoint_says_how_many_classes_the_data_have(fit, tiny, images, tmp_path):
    gan = build_gan(tiny(), images)
    gan.batches.data = TensorData(images.samples)
    gan.batches.data.classes = 7  # of no interest to these networks
    callback = Save(tmp_path, 2, {})
    checkpoint = {}
    callback.on_save_checkpoint(SimpleNamespace(lightning_module=gan), gan, checkpoint)
    assert checkpoint["ganduel"]["classes"] == 7
