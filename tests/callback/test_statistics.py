"""Rows of training in numbers: each against its definition, and when they come."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import Callback

from ganduel.callback.statistics import BINS, Statistics, gather_columns, histogram, loss_keys, norms, to_host
from ganduel.factory.gan import build_gan
from ganduel.loss.base import Loss
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.penalty.r1 import R1
from ganduel.tracking.base import Logger


class Wasserstein(Loss):
    """Logits that stand for no probability."""

    def discriminator(self, real, fake):
        return fake.mean() - real.mean()

    def generator(self, real, fake):
        return -fake.mean()


def statistics(logits, loss=None, losses=None, norms=None):
    """The row of some logits, (3, batch)."""
    zero = torch.zeros((), dtype=logits.dtype)
    losses, norms = losses or {"loss/d": zero}, norms or {"grad/norm_d": zero}
    return to_host(losses, norms, logits, loss or NonSaturating())[0]


def histograms(logits, loss=None):
    """The histograms of some logits, (3, batch)."""
    zero = torch.zeros((), dtype=logits.dtype)
    return to_host({"loss/d": zero}, {"grad/norm_d": zero}, logits, loss or NonSaturating())[1]


def test_values_by_hand():
    """Real logits log 3, 0, −log 3: D = 3/4, 1/2, 1/4; none counts as right at D = 1/2 exactly."""
    a = math.log(3)
    logits = torch.tensor([[a, 0.0, -a], [-a, -a, 0.0], [a, a, a]], dtype=torch.float64)
    losses = {"loss/d": 1.5, "loss/g": 0.5, "loss/penalty_d": 0.25}
    norms = {"grad/norm_d": 1.0, "grad/norm_g": 2.0, "weight/norm_d": 3.0, "weight/norm_g": 4.0}
    losses, norms = ({key: torch.tensor(x).double() for key, x in values.items()} for values in (losses, norms))
    row = statistics(logits, losses=losses, norms=norms)
    assert row == pytest.approx(
        {
            "loss/d": 1.5, "loss/g": 0.5, "loss/penalty_d": 0.25,
            "d/real": 0.5, "d/fake": 1 / 3, "d/fake_g": 0.75,
            "d/real_std": math.sqrt(1 / 24), "d/fake_std": math.sqrt(1 / 72),
            "d/accuracy_real": 1 / 3, "d/accuracy_fake": 2 / 3,
            "logit/real": 0.0, "logit/fake": -2 * a / 3, "logit/fake_g": a,
            "logit/real_std": a * math.sqrt(2 / 3), "logit/fake_std": a * math.sqrt(2 / 9),
            "grad/norm_d": 1.0, "grad/norm_g": 2.0, "weight/norm_d": 3.0, "weight/norm_g": 4.0,
        }
    )  # fmt: skip


def test_logits_that_stand_for_no_probability_have_no_columns_of_d():
    """Neither a probability, nor a share of right answers where the loss has no threshold."""
    logits = torch.tensor([[1.0, 3.0], [-1.0, -3.0], [0.0, 4.0]])
    row = statistics(logits, Wasserstein())
    assert {key: value for key, value in row.items() if not key.startswith(("loss", "grad"))} == {
        "logit/real": 2, "logit/fake": -2, "logit/fake_g": 2, "logit/real_std": 1, "logit/fake_std": 1,
    }  # fmt: skip
    assert set(histograms(logits, Wasserstein())) == {"logit/real", "logit/fake"}


def test_a_loss_with_a_threshold_has_the_accuracy_at_it():
    class LeastSquares(Wasserstein):
        threshold = 0.5

    row = statistics(torch.tensor([[0.4, 0.6], [0.4, 0.3], [0.0, 0.0]]), LeastSquares())
    assert (row["d/accuracy_real"], row["d/accuracy_fake"]) == (0.5, 1.0)
    assert "d/real" not in row


def test_a_network_without_penalties_has_no_column_of_them(tiny, images):
    assert loss_keys(build_gan(tiny(), images)) == ["loss/d", "loss/g"]
    assert loss_keys(build_gan(tiny("penalty=r1"), images)) == ["loss/d", "loss/g", "loss/penalty_d"]
    gan = build_gan(tiny(), images)
    gan.penalties_g["some"] = R1()
    assert loss_keys(gan) == ["loss/d", "loss/g", "loss/penalty_g"]


def test_norms_are_of_the_networks_that_they_name(tiny, images):
    gan = build_gan(tiny(), images)
    for x, network in ((3.0, gan.discriminator), (0.5, gan.generator)):
        for parameter in network.parameters():
            torch.nn.init.constant_(parameter, x)
    outputs = {"grad/norm_d": torch.tensor(1.0), "grad/norm_g": torch.tensor(2.0), "loss/d": torch.tensor(9.0)}
    values = {key: value.item() for key, value in norms(gan, outputs).items()}
    weights = {"d": gan.discriminator, "g": gan.generator}
    n = {name: sum(p.numel() for p in network.parameters()) for name, network in weights.items()}
    assert values == pytest.approx(
        {
            "grad/norm_d": 1.0, "grad/norm_g": 2.0,
            "weight/norm_d": 3 * n["d"] ** 0.5, "weight/norm_g": n["g"] ** 0.5 / 2,
        }
    )  # fmt: skip


def test_a_sure_discriminator_that_is_wrong_is_told_from_one_that_is_right():
    """Real and generated rows are not the other way round."""
    right = torch.tensor([[9.0], [-9.0], [-9.0]])
    for logits, share in ((right, 1.0), (-right, 0.0)):
        row = statistics(logits)
        assert (row["d/accuracy_real"], row["d/accuracy_fake"]) == (share, share)
        assert row["d/real"] == pytest.approx(share, abs=1e-3)
        assert row["d/fake"] == pytest.approx(1 - share, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2])
def test_a_batch_of_one_has_spread_zero_not_nan(n):
    row = statistics(torch.zeros(3, n))
    assert [row[f"{key}_std"] for key in ("d/real", "d/fake", "logit/real", "logit/fake")] == [0] * 4


class Recorder(Logger):
    """A tracker that keeps what it gets."""

    name, version = "recorder", "0"

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
    logits, n = torch.tensor(values), len(values)
    counts = histograms(torch.stack([logits, -logits, logits]))
    assert {key: (len(bins), sum(bins)) for key, bins in counts.items()} == {
        "d/real": (BINS, n), "d/fake": (BINS, n), "logit/real": (2 * BINS, n), "logit/fake": (2 * BINS, n)
    }  # fmt: skip
    for key, sign in (("d/real", 1), ("d/fake", -1)):
        assert counts[key][0] >= sum(sign * value < -10 for value in values)
        assert counts[key][-1] >= sum(sign * value > 10 for value in values)


def test_histograms_of_real_and_fake_are_not_exchanged():
    counts = histograms(torch.tensor([[9.0], [-9.0], [0.0]]))
    assert counts["d/real"] == [0] * (BINS - 1) + [1]
    assert counts["d/fake"] == [1] + [0] * (BINS - 1)
    for key, value in (("logit/real", 9), ("logit/fake", -9)):
        assert counts[key] == [int(n == 2 * (16 + value)) for n in range(2 * BINS)]


def test_histogram_of_logits_ends_at_sixteen():
    """Bins of width 1/2; what is beyond is in the outermost."""
    counts = histogram("logit/fake", torch.tensor([-99.0, -16, 0.1, 15.9])).tolist()
    assert {n: c for n, c in enumerate(counts) if c} == {0: 2, 32: 1, 63: 1}


def test_the_middle_bin_has_what_d_is_undecided_about():
    zero = torch.zeros(3, 5)
    counts = histograms(zero)
    assert counts["d/real"][BINS // 2] == counts["d/fake"][BINS // 2] == 5
    assert counts["logit/real"][BINS] == counts["logit/fake"][BINS] == 5


@pytest.mark.usefixtures("untyped")
def test_columns_of_all_ranks_stand_side_by_side():
    """Rows stay rows: (rank, rows, local batch) to (rows, batch)."""
    parts = torch.arange(12.0).reshape(2, 3, 2)
    trainer = SimpleNamespace(world_size=2, strategy=SimpleNamespace(all_gather=lambda rows: parts))
    assert gather_columns(trainer, parts[0]).tolist() == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]
    alone = parts[0]
    assert gather_columns(SimpleNamespace(world_size=1), alone) is alone


@pytest.mark.parametrize(("every", "expected"), [(1, [1, 2, 3, 4, 5, 6]), (4, [1, 4, 6]), (3, [1, 3, 6]), (50, [1, 6])])
def test_rows_come_at_the_first_each_nth_and_the_last_iteration(fit, every, expected):
    recorder = Recorder()
    fit(callbacks=[Statistics(every)], loggers=[recorder])
    assert [step for step, _ in recorder.rows] == [step for step, _ in recorder.counts] == expected
    for step, row in recorder.rows:
        assert (row["iteration"], row["images_seen"]) == (step, 4 * step)


def test_a_row_describes_its_iteration(fit):
    """The weights' norms are those after the update; the time of training grows; all is finite."""
    recorder = Recorder()
    trainer = fit("k=2", callbacks=[Statistics(2)], loggers=[recorder])
    gan, (_, last) = trainer.lightning_module, recorder.rows[-1]
    for name, network in (("d", gan.discriminator), ("g", gan.generator)):
        norm = sum(p.square().sum().item() for p in network.parameters()) ** 0.5
        assert last[f"weight/norm_{name}"] == pytest.approx(norm, rel=1e-5)
        assert last[f"grad/norm_{name}"] > 0
    assert last["images_seen"] == 6 * 2 * 4
    assert all(math.isfinite(value) for _, row in recorder.rows for value in row.values())
    seconds = [row["seconds"] for _, row in recorder.rows]
    assert seconds == sorted(seconds)
    assert all(row["speed/images_per_second"] > 0 for _, row in recorder.rows)


@pytest.mark.usefixtures("untyped")
def test_seconds_go_on_after_a_resume():
    callback = Statistics(1)
    callback.load_state_dict({"seconds": 100.0})
    module = SimpleNamespace(global_step=0, batches=SimpleNamespace(k=1, batch_size=4))
    callback.on_train_start(SimpleNamespace(lightning_module=module), None)
    assert 100 <= callback.state_dict()["seconds"] < 101


class Tick(Callback):
    """A clock that gains a second per iteration."""

    now = 0.0

    def on_train_batch_start(self, *_):
        self.now += 1


@pytest.fixture
def clock(monkeypatch):
    tick = Tick()
    monkeypatch.setattr("ganduel.callback.statistics.time", SimpleNamespace(monotonic=lambda: tick.now))
    return tick


def test_speed_is_that_since_the_last_row(fit, clock):
    """At a second per iteration, k times a batch of 4."""
    recorder = Recorder()
    fit("k=3", callbacks=[clock, Statistics(2)], loggers=[recorder])
    assert [row["speed/images_per_second"] for _, row in recorder.rows] == [12, 12, 12, 12]
    assert [row["seconds"] for _, row in recorder.rows] == [1, 2, 4, 6]


def test_what_is_left_out_is_not_counted(fit, clock):
    """Nine seconds of something else in each iteration."""
    recorder, statistics = Recorder(), Statistics(2)

    class Else(Callback):
        def on_train_batch_end(self, *_):
            clock.now += 9
            statistics.leave_out(9.0)

    fit(callbacks=[clock, Else(), statistics], loggers=[recorder])
    assert [row["seconds"] for _, row in recorder.rows] == [1, 2, 4, 6]
    assert {row["speed/images_per_second"] for _, row in recorder.rows} == {4}
