"""Rows of the duel in numbers: each against its definition, and when they come."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Callback

from ganduel.callback.statistics import BINS, Statistics, gather_columns, histograms, statistics
from ganduel.tracking.base import Logger


def test_values_by_hand():
    """Real logits log 3, 0, −log 3: D = 3/4, 1/2, 1/4; none counts as right at D = 1/2 exactly."""
    a = math.log(3)
    logits = torch.tensor([[a, 0.0, -a], [-a, -a, 0.0], [a, a, a]], dtype=torch.float64)
    losses, norms = torch.tensor([1.5, 0.5, 0.25]).double(), torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    row = {key: value.item() for key, value in statistics(logits, losses, norms).items()}
    assert row == pytest.approx(
        {
            "loss/d": 1.5, "loss/g": 0.5, "loss/penalty": 0.25,
            "d/real": 0.5, "d/fake": 1 / 3, "d/fake_g": 0.75,
            "d/real_std": math.sqrt(1 / 24), "d/fake_std": math.sqrt(1 / 72),
            "d/accuracy_real": 1 / 3, "d/accuracy_fake": 2 / 3,
            "logit/real": 0.0, "logit/fake": -2 * a / 3,
            "grad/norm_d": 1.0, "grad/norm_g": 2.0, "weight/norm_d": 3.0, "weight/norm_g": 4.0,
        }
    )  # fmt: skip


def test_a_sure_discriminator_that_is_wrong_is_told_from_one_that_is_right():
    """Real and generated rows are not the other way round."""
    right = torch.tensor([[9.0], [-9.0], [-9.0]])
    for logits, share in ((right, 1.0), (-right, 0.0)):
        row = statistics(logits, torch.zeros(3), torch.zeros(4))
        assert (row["d/accuracy_real"], row["d/accuracy_fake"]) == (share, share)
        assert row["d/real"] == pytest.approx(share, abs=1e-3)
        assert row["d/fake"] == pytest.approx(1 - share, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2])
def test_a_batch_of_one_has_spread_zero_not_nan(n):
    row = statistics(torch.zeros(3, n), torch.zeros(3), torch.zeros(4))
    assert (row["d/real_std"], row["d/fake_std"]) == (0, 0)


class Ear(Logger):
    """A tracker that keeps what it hears."""

    name, version = "ear", "0"

    def __init__(self):
        super().__init__()
        self.rows, self.counts, self.pictures = [], [], []

    def log_metrics(self, metrics, step=None):
        self.rows.append((step, dict(metrics)))

    def log_histograms(self, counts, step):
        self.counts.append((step, counts))

    def log_picture(self, key, path, caption, step):
        self.pictures.append((step, key, path, caption))


@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=30))
def test_histograms_count_every_sample_once(values):
    """D = 0 and D = 1 included, which are the first bin and the last."""
    logits = torch.tensor(values)
    counts, other = histograms(torch.stack([torch.stack([logits, -logits, logits]), torch.zeros(3, len(values))]))
    assert other["d/real"][BINS // 2] == other["logit/fake"][BINS] == len(values)
    n = len(values)
    assert {key: (len(bins), sum(bins)) for key, bins in counts.items()} == {
        "d/real": (BINS, n), "d/fake": (BINS, n), "logit/fake": (2 * BINS, n)
    }  # fmt: skip
    assert counts["d/real"][0] >= sum(value < -10 for value in values)
    assert counts["d/real"][-1] >= sum(value > 10 for value in values)


def test_histograms_of_real_and_fake_are_not_exchanged():
    (counts,) = histograms(torch.tensor([[[9.0], [-9.0], [0.0]]]))
    assert counts["d/real"] == [0] * (BINS - 1) + [1]
    assert counts["d/fake"] == [1] + [0] * (BINS - 1)


def test_histogram_of_logits_ends_at_sixteen():
    """Bins of width 1/2; what is beyond is in the outermost."""
    (counts,) = histograms(torch.tensor([[[0.0] * 4, [-99.0, -16, 0.1, 15.9], [0.0] * 4]]))
    assert {n: c for n, c in enumerate(counts["logit/fake"]) if c} == {0: 2, 32: 1, 63: 1}


@pytest.mark.usefixtures("untyped")
def test_columns_of_all_ranks_stand_side_by_side():
    """Rows stay rows: (rank, rows, share) to (rows, batch)."""
    parts = torch.arange(12.0).reshape(2, 3, 2)
    trainer = SimpleNamespace(world_size=2, strategy=SimpleNamespace(all_gather=lambda rows: parts))
    assert gather_columns(trainer, parts[0]).tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    alone = parts[0]
    assert gather_columns(SimpleNamespace(world_size=1), alone) is alone


@pytest.mark.parametrize(("every", "expected"), [(1, [1, 2, 3, 4, 5, 6]), (4, [1, 4, 6]), (3, [1, 3, 6]), (50, [1, 6])])
def test_rows_come_at_the_first_each_nth_and_the_last_iteration(fit, every, expected):
    ear = Ear()
    fit(callbacks=[Statistics(every)], loggers=[ear])
    assert [step for step, _ in ear.rows] == [step for step, _ in ear.counts] == expected
    for step, row in ear.rows:
        assert (row["iteration"], row["images_seen"]) == (step, 4 * step)


def test_a_row_describes_its_iteration(fit):
    """The weights' norms are those after the update; the time of training grows; all is finite."""
    ear = Ear()
    trainer = fit("k=2", callbacks=[Statistics(2)], loggers=[ear])
    gan, (_, last) = trainer.lightning_module, ear.rows[-1]
    for name, network in (("d", gan.discriminator), ("g", gan.generator)):
        norm = sum(p.square().sum().item() for p in network.parameters()) ** 0.5
        assert last[f"weight/norm_{name}"] == pytest.approx(norm, rel=1e-5)
        assert last[f"grad/norm_{name}"] > 0
    assert last["images_seen"] == 6 * 2 * 4
    assert all(math.isfinite(value) for _, row in ear.rows for value in row.values())
    seconds = [row["seconds"] for _, row in ear.rows]
    assert seconds == sorted(seconds)
    assert all(row["speed/images_per_second"] > 0 for _, row in ear.rows)


@pytest.mark.usefixtures("untyped")
def test_seconds_go_on_after_a_resume():
    callback = Statistics(1)
    callback.load_state_dict({"seconds": 100.0})
    callback.on_train_start(SimpleNamespace(lightning_module=SimpleNamespace(images_seen=0)), None)
    assert 100 <= callback.state_dict()["seconds"] < 101


class Tick(Callback):
    """A clock that gains a second an iteration."""

    now = 0.0

    def on_train_batch_start(self, *_):
        self.now += 1


@pytest.fixture
def clock(monkeypatch):
    tick = Tick()
    monkeypatch.setattr("ganduel.callback.statistics.time", SimpleNamespace(monotonic=lambda: tick.now))
    return tick


def test_speed_is_that_since_the_last_row(fit, clock):
    """In a second an iteration, k times a batch of 4."""
    ear = Ear()
    fit("k=3", callbacks=[clock, Statistics(every=2)], loggers=[ear])
    assert [row["speed/images_per_second"] for _, row in ear.rows] == [12, 12, 12, 12]
    assert [row["seconds"] for _, row in ear.rows] == [1, 2, 4, 6]


def test_what_is_left_out_is_not_counted(fit, clock):
    """Nine seconds of something else in each iteration."""
    ear, statistics = Ear(), Statistics(every=2)

    class Else(Callback):
        def on_train_batch_end(self, *_):
            clock.now += 9
            statistics.leave_out(9.0)

    fit(callbacks=[clock, Else(), statistics], loggers=[ear])
    assert [row["seconds"] for _, row in ear.rows] == [1, 2, 4, 6]
    assert {row["speed/images_per_second"] for _, row in ear.rows} == {4}
