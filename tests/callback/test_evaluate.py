"""Evaluation during training: when, of which network, what is kept, and that training does not notice."""

import json
import math
import signal

import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image

from ganduel import checkpoint
from ganduel.callback.evaluate import Evaluate
from ganduel.callback.save import Save
from ganduel.callback.statistics import Statistics
from ganduel.callback.stop import StopOnSignal
from ganduel.data.base import TensorData
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.metric.evaluation import Evaluation
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.kernel import KernelDistance
from ganduel.metric.modes import Modes
from ganduel.tracking.base import Logger
from ganduel.tracking.files import rows
from ganduel.tracking.run_logger import RunLogger

KEY = "fd/points_60"


def metrics(n=60):
    return {"frechet": FrechetDistance(samples=n), "modes": Modes(samples=n)}


@pytest.fixture
def ring(tiny):
    """Builds a tiny GAN on the ring."""
    return lambda *words: build_gan(tiny(*words), Ring8())


def test_rows_at_every_nth_and_the_last(fit, ring, tmp_path):
    fit(callbacks=[Evaluate(metrics(), every_n_iterations=4)], loggers=[RunLogger(tmp_path)], gan=ring())
    written = rows(tmp_path / "metrics.jsonl")
    assert [row["iteration"] for row in written] == [4, 6]
    quantities = ("fd", "modes", "high_quality", "reverse_kl")
    assert set(written[0]) == {"iteration", "images_seen"} | {
        f"{q}/points_60{suffix}" for q in quantities for suffix in ("", "/floor")
    }


def test_without_a_period_at_the_end_alone(fit, ring, tmp_path):
    fit(callbacks=[Evaluate(metrics(), draws=2)], loggers=[RunLogger(tmp_path)], gan=ring())
    (row,) = rows(tmp_path / "metrics.jsonl")
    assert row["iteration"] == 6
    assert row[f"{KEY}/error"] > 0


def test_value_is_that_of_the_average(fit, ring, tmp_path):
    """Not of G itself, which differs."""
    gan = ring()
    fit(callbacks=[Evaluate(metrics())], loggers=[RunLogger(tmp_path)], gan=gan)
    (row,) = rows(tmp_path / "metrics.jsonl")
    evaluation = Evaluation(Ring8(), [FrechetDistance(samples=60)])
    assert row[KEY] == evaluation(gan.ema.net)[KEY].value
    assert row[KEY] != evaluation(gan.generator)[KEY].value


def test_training_is_the_same_to_the_bit(fit, ring):
    trained = []
    for callbacks in ([], [Evaluate(metrics(), every_n_iterations=1, draws=2)]):
        gan = ring()
        fit(callbacks=callbacks, gan=gan)
        trained.append(torch.cat([p.detach().flatten() for p in gan.parameters()]))
    assert torch.equal(*trained)


def test_protocols_are_on_record_once(fit, ring, tmp_path):
    fit(callbacks=[Evaluate(metrics(), every_n_iterations=2)], loggers=[RunLogger(tmp_path)], gan=ring())
    protocols = rows(tmp_path / "protocols.jsonl")
    assert [(row["iteration"], row["metric"]) for row in protocols] == [
        (2, key) for key in (KEY, "modes/points_60", "high_quality/points_60", "reverse_kl/points_60")
    ]
    assert all(len(row["hash"]) == 8 for row in protocols)
    assert protocols[0]["class"] == "ganduel.metric.frechet.FrechetDistance"
    assert [row["higher_is_better"] for row in protocols] == [False, True, True, False]
    assert [row["range"] for row in protocols] == [[0, None], [0, 8], [0, 1], [0, pytest.approx(math.log(8))]]


def test_pictures_of_metrics_are_saved_and_logged(fit, ring, tmp_path, monkeypatch):
    """That of the last evaluation, in the run's folder."""
    shades = iter((10, 200))
    monkeypatch.setattr(Modes, "picture", lambda self, data, generator: Image.new("L", (3, 3), next(shades)))
    logged = []

    class Log(Logger):
        name = version = None

        def log_metrics(self, metrics, step=None):
            pass

        def log_picture(self, key, path, caption, step):
            logged.append((key, path.name, step))

    fit(callbacks=[Evaluate(metrics(), every_n_iterations=4)], loggers=[RunLogger(tmp_path), Log()], gan=ring())
    with Image.open(tmp_path / "samples" / "modes.png") as picture:
        assert picture.getpixel((0, 0)) == 200
    assert logged == [("samples/modes", "modes.png", 4), ("samples/modes", "modes.png", 6)]


@pytest.mark.parametrize(("values", "kept"), [([5.0, 3.0, 4.0], 4), ([5.0, 6.0, 4.0], 6), ([5.0, 5.0, 5.0], 2)])
def test_best_checkpoint_is_that_of_the_least(fit, ring, tmp_path, monkeypatch, values, kept):
    """Ties stay with the first."""
    calls = []
    original = Evaluation.__call__

    def evaluation(self, generator, watch=lambda n: None):
        evaluated = original(self, generator, watch)
        calls.append(values[len(calls)])
        return {k: type(v)(calls[-1], v.floor, v.error, v.higher_is_better, v.hash) for k, v in evaluated.items()}

    monkeypatch.setattr(Evaluation, "__call__", evaluation)
    callbacks = [
        Evaluate({"frechet": FrechetDistance(samples=60)}, every_n_iterations=2),
        Save(tmp_path / "checkpoints", 100, {}),
    ]
    fit(callbacks=callbacks, gan=ring())
    assert checkpoint.read(tmp_path / "checkpoints" / "best.ckpt")["global_step"] == kept


def test_best_by_a_metric_of_which_more_is_better(fit, ring, tmp_path, monkeypatch):
    """The one named, by its first part; and on resume the record so far counts."""
    evaluate = Evaluate(metrics(), every_n_iterations=3, best="high_quality")
    fit(callbacks=[evaluate, Save(tmp_path / "checkpoints", 100, {})], gan=ring())
    assert evaluate.key == "high_quality/points_60"
    assert evaluate.up is True
    again = Evaluate(metrics(), every_n_iterations=3, best="high_quality")
    again.load_state_dict(evaluate.state_dict())
    assert again.record == evaluate.record is not None


def test_data_without_features_are_trained_all_the_same(fit, ring, caplog, images):
    callback = Evaluate()
    with caplog.at_level("INFO", logger="ganduel"):
        fit(callbacks=[callback])
    assert not callback.on
    assert "no metric is known to fit TensorData" in caplog.text


def test_too_few_real_samples_are_said_before_training(fit, ring, caplog):
    """Of what fits by itself a line tells; what is asked for is refused."""
    gan = ring("batch_size=2")
    gan.batches.data = Few(torch.rand(3, 2))
    with caplog.at_level("INFO", logger="ganduel"):
        fit(callbacks=[Evaluate()], gan=gan)
    assert "samples are not evaluated: no metric is known to fit Few: its real samples make sets of 1" in caplog.text
    gan = ring()
    gan.batches.data = Few(torch.rand(20, 2))
    with pytest.raises(UserError, match=r"Try metric\.frechet\.samples=10\."):
        fit(callbacks=[Evaluate(metrics={"frechet": FrechetDistance(samples=60)})], gan=gan)
    assert gan.global_step == 0


class Few(TensorData):
    """A few points."""

    features = "points"


def test_row_comes_with_those_of_the_statistics(fit, ring, tmp_path):
    """And is read back as the last values of the run."""
    record = RunLogger(tmp_path)
    fit(
        callbacks=[Statistics(3), Evaluate(metrics(), 3)],
        loggers=[record],
        gan=ring(),
    )
    assert record.last[KEY] == rows(tmp_path / "metrics.jsonl")[-1][KEY]
    assert "loss/d" in record.last
    json.dumps(record.last)


def test_user_errors(fit, ring):
    for bad, message in (
        ({"every_n_iterations": 0}, r"callback\.evaluate\.every_n_iterations=0 must be at least 1, or null"),
        ({"draws": 0}, r"callback\.evaluate\.draws=0 must be at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            Evaluate(**bad)
    with pytest.raises(UserError, match=r"callback\.evaluate\.best=modus is not measured"):
        fit(callbacks=[Evaluate(metrics(), best="modus")], gan=ring())
    unfit = {"kernel": KernelDistance()}
    with pytest.raises(UserError, match=r"metric\.kernel does not fit TensorData: it names no features"):
        fit(callbacks=[Evaluate(unfit)])


def test_a_signal_ends_the_evaluation(fit, ring, tmp_path, caplog):
    """The run is saved and ends as stopped by it; nothing is on record of what was not finished."""
    stop = StopOnSignal()

    class Signal(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 6:
                signal.raise_signal(signal.SIGTERM)

    callbacks = [stop, Signal(), Evaluate(metrics()), Save(tmp_path / "checkpoints", 100, {})]
    with caplog.at_level("INFO", logger="ganduel"):
        fit(callbacks=callbacks, loggers=[RunLogger(tmp_path)], gan=ring())
    assert stop.signum == signal.SIGTERM
    assert not (tmp_path / "metrics.jsonl").exists()
    assert checkpoint.read(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 6
    assert "the evaluation is left out" in caplog.text


def test_time_of_evaluations_is_left_out_of_trainings(fit, ring, monkeypatch):
    """The clocks leave out what the evaluation took."""
    left_out = []
    monkeypatch.setattr(Statistics, "leave_out", lambda self, seconds: left_out.append(seconds))
    fit(callbacks=[Statistics(3), Evaluate(metrics(), 3)], gan=ring())
    assert len(left_out) == 2
    assert all(0 < seconds < 60 for seconds in left_out)
