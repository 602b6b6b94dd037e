"""Signals are noted and obeyed between two iterations; handlers are given back."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from lightning.pytorch import Callback

from ganduel.callback.save import Save
from ganduel.callback.stop import SIGNALS, StopOnSignal, discard_output
from ganduel.checkpoint import LAST, read


class Send(Callback):
    """Sends this process a signal in the middle of an iteration's work, some number of times."""

    def __init__(self, signum, iteration, times=1):
        self.signum, self.iteration, self.times = signum, iteration, times

    def on_train_batch_start(self, trainer, *arguments):
        if trainer.global_step == self.iteration - 1:
            for _ in range(self.times):
                os.kill(os.getpid(), self.signum)


@pytest.fixture(autouse=True)
def handlers():
    """Whatever a test leaves behind; and the handlers must be the old ones after it."""
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield
    after = {signum: signal.getsignal(signum) for signum in SIGNALS}
    for signum, handler in before.items():
        signal.signal(signum, handler)
    assert after == before


@pytest.mark.parametrize("signum", SIGNALS, ids=lambda signum: signum.name)
def test_the_iteration_is_finished_and_saved(fit, tmp_path, signum):
    stop = StopOnSignal()
    trainer = fit(callbacks=[Send(signum, 3), stop, Save(tmp_path, 100, {})])
    assert trainer.global_step == 3
    assert stop.signum == signum
    assert read(tmp_path / LAST)["global_step"] == 3


def test_a_signal_that_is_ignored_stays_ignored(fit):
    """As nohup has it for SIGHUP: such a run is meant to outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert fit(callbacks=[Send(signal.SIGHUP, 3), StopOnSignal()]).global_step == 6
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_run_in_a_thread_leaves_signals_to_the_main_thread(fit):
    """As in a notebook's, or under an agent of W&B's: Python has no handlers there, and said so in a stack trace."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(fit, callbacks=[StopOnSignal()]).result().global_step == 6


def test_what_is_printed_to_a_closed_terminal_goes_nowhere():
    """Writing to it would raise, in the middle of saving."""
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"line")
    discard_output([writer])
    assert os.write(writer, b"line") == 4
    os.close(writer)


def test_a_run_without_signals_ends_by_itself(fit):
    stop = StopOnSignal()
    assert fit(callbacks=[stop]).global_step == 6
    assert stop.signum is None


def test_repeated_signals_of_a_scheduler_change_nothing(fit):
    """SLURM sends SIGTERM more than once."""
    stop = StopOnSignal()
    assert fit(callbacks=[Send(signal.SIGTERM, 2, times=3), stop]).global_step == 2
    assert stop.signum == signal.SIGTERM


def test_a_second_control_c_interrupts_at_once():
    stop = StopOnSignal()
    stop._note(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        stop._note(signal.SIGINT, None)


def test_handlers_are_given_back_after_a_failure(fit):
    class Fail(Callback):
        def on_train_batch_start(self, *arguments):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(callbacks=[StopOnSignal(), Fail()])
