"""When a row is due, and what every row says."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganduel.callback.base import geometric, is_due, log, next_due, next_geometric, trackers
from ganduel.tracking.base import Logger

pytestmark = pytest.mark.usefixtures("untyped")  # a stand-in for the Trainer will do


def test_due_at_the_first_each_nth_and_the_last():
    def trainer(n):
        return SimpleNamespace(global_step=n, max_steps=23)

    due_at = [n for n in range(1, 24) if is_due(trainer(n), 10)]
    assert due_at == [1, 10, 20, 23]


def test_every_logger_gets_the_row_and_only_trackers_get_more():
    logged = []
    plain = SimpleNamespace(log_metrics=lambda row, step: logged.append((step, row)))
    module = SimpleNamespace(global_step=10, batches=SimpleNamespace(k=2, batch_size=32))
    trainer = SimpleNamespace(loggers=[plain, plain], lightning_module=module, global_step=10, callback_metrics={})
    log(trainer, {"loss/d": 1.4})
    assert logged == [(10, {"iteration": 10, "images_seen": 640, "loss/d": 1.4})] * 2
    assert trainer.callback_metrics == {"iteration": 10, "images_seen": 640, "loss/d": 1.4}
    assert trackers(trainer) == []
    tracker = Logger.__new__(type("Silent", (Logger,), {"name": "", "version": "", "log_metrics": print}))
    assert trackers(SimpleNamespace(loggers=[plain, tracker])) == [tracker]


@given(first=st.integers(1, 500), growth=st.floats(1.05, 10), last=st.integers(1, 5000))
def test_pictures_grow_geometrically(first, growth, last):
    """The iterations with a grid are first · growth^i, rounded, and no others."""
    expected, i = set(), 0
    while round(first * growth**i) <= last:
        expected.add(round(first * growth**i))
        i += 1
    assert {n for n in range(last + 1) if geometric(n, first, growth)} == expected


def test_defaults_make_few_grids_of_a_long_run():
    assert [n for n in range(2000) if geometric(n, 100, 1.5)] == [100, 150, 225, 338, 506, 759, 1139, 1709]


@given(n=st.integers(0, 300), every=st.integers(1, 40))
def test_the_next_that_is_due(n, every):
    """The last iteration aside, which is due in any case."""
    expected = next(m for m in range(n + 1, n + every + 2) if m == 1 or m % every == 0)
    assert next_due(n, every) == expected


@given(n=st.integers(0, 3000), first=st.integers(1, 500), growth=st.floats(1.05, 10))
def test_the_next_of_a_geometric_series(n, first, growth):
    expected = next(m for m in range(n + 1, 10 * (n + first) + 20) if geometric(m, first, growth))
    assert next_geometric(n, first, growth) == expected
