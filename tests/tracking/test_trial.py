"""What a search hears of its run, and when the run is stopped."""

from types import SimpleNamespace

import pytest

from ganduel.tracking.trial import TrialLogger


class Trial:
    """In the place of Optuna's: it prunes from a value on."""

    number = 3

    def __init__(self, worst):
        self.worst, self.reports = worst, []

    def report(self, value, step):
        self.reports.append((step, value))

    def should_prune(self):
        return self.reports[-1][1] >= self.worst


@pytest.fixture
def logger():
    def make(worst, iteration, ranks=1):
        trainer = SimpleNamespace(max_steps=100, world_size=ranks, should_stop=False)
        logger = TrialLogger("fd", Trial(worst))
        logger.gan = SimpleNamespace(global_step=iteration, trainer=trainer, batches=SimpleNamespace(k=1, batch_size=2))
        return logger

    return make


def test_each_value_of_the_metric_is_reported_by_its_iteration(logger):
    log = logger(worst=9, iteration=50)
    log.log_metrics({"loss/d": 1.0}, step=7)
    log.log_metrics({"fd/mnist_cnn_10k": 8.0, "fd/mnist_cnn_10k/floor": 2.0}, step=7)
    assert log.trial.reports == [(50, 8.0)]
    assert (log.pruned, log.gan.trainer.should_stop) == (None, False)


def test_a_run_that_is_pruned_stops_and_says_by_what(logger):
    log = logger(worst=9, iteration=50)
    log.log_metrics({"fd/mnist_cnn_10k": 9.5}, step=7)
    assert (log.pruned, log.gan.trainer.should_stop) == ("fd/mnist_cnn_10k = 9.5", True)


@pytest.mark.parametrize(("iteration", "ranks"), [(100, 1), (50, 2)])
def test_one_at_its_end_or_on_several_ranks_is_not_stopped(logger, iteration, ranks):
    log = logger(worst=9, iteration=iteration, ranks=ranks)
    log.log_metrics({"fd/mnist_cnn_10k": 9.5}, step=7)
    assert log.trial.reports == [(iteration, 9.5)]
    assert (log.pruned, log.gan.trainer.should_stop) == (None, False)
