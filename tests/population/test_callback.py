"""What members have in common: a bar, clocks, signals; and when the next of them has something to do."""

import logging
import signal
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch import Callback

from ganduel.block import NEVER, Scheduled
from ganduel.callback.statistics import Statistics
from ganduel.population.callback import MemberCallbacks, PopulationBar, StopAll

pytestmark = pytest.mark.usefixtures("untyped")


class Due(Callback, Scheduled):
    """One of ganduel's own that is due at one iteration."""

    __module__ = "ganduel.callback.test"

    def __init__(self, at: int):
        self.at = at

    def next_due(self, n: int) -> int:
        return self.at if n < self.at else NEVER


class Each(Callback):
    """A user callback with a hook in each batch."""

    def on_train_batch_end(self, *_: Any) -> None:
        """It watches."""


def member(*callbacks: Callback, step: int = 0, name: str = "m") -> Any:
    run = SimpleNamespace(callbacks=list(callbacks), record=SimpleNamespace(last={"loss/d": float(step)}))
    return SimpleNamespace(run=run, global_step=step, name=name)


def test_the_next_iteration_that_is_due_is_that_of_the_first_member():
    callbacks = MemberCallbacks([member(Due(40), Due(25)), member(Due(30))])
    assert callbacks.next_due(0) == 25
    assert callbacks.next_due(25) == 30
    assert callbacks.next_due(40) == NEVER


def test_a_member_that_is_ahead_joins_where_it_is():
    callbacks = MemberCallbacks([member(Due(40)), member(Due(70), step=30)])
    assert callbacks.next_due(0) == 30
    assert callbacks.next_due(30) == 40


def test_a_user_callback_that_sees_each_batch_makes_each_iteration_one():
    assert MemberCallbacks([member(Due(40)), member(Each())]).next_due(7) == 8


def test_lines_are_named_after_the_member_whose_callbacks_are_called(caplog):
    callbacks, log = MemberCallbacks([member(name="seed=1")]), logging.getLogger("ganduel")
    with caplog.at_level(logging.INFO, "ganduel"), callbacks.named_lines():
        log.info("of %s", "all")
        with callbacks.speaking(callbacks.members[0]):
            log.info("of %s", "one")
    log.info("after")
    assert [record.getMessage() for record in caplog.records] == ["of all", "seed=1: of one"]


def test_what_one_member_does_between_iterations_is_no_training_of_the_others():
    """The one that evaluates has told its own clock already."""
    clocks = [Statistics(1) for _ in range(3)]
    for clock in clocks:
        clock.started = clock.row_time = 10.0
    callbacks = MemberCallbacks([member(clock) for clock in clocks])
    callbacks.current = callbacks.members[1]
    PopulationBar(callbacks).leave_out(2.0)
    assert [clock.started for clock in clocks] == [clock.row_time for clock in clocks] == [12.0, 10.0, 12.0]


def test_the_bar_shows_the_last_row_of_the_first_that_runs():
    callbacks = MemberCallbacks([member(step=1), member(step=2)])
    bar = PopulationBar(callbacks)
    assert bar.record.last == {"loss/d": 1.0}
    callbacks.running.pop(0)
    assert bar.record.last == {"loss/d": 2.0}
    callbacks.running.clear()
    assert bar.record.last == {"loss/d": 1.0}


def test_a_signal_is_handed_on_to_the_other_processes_that_still_run():
    sent = []
    alive, ended = (
        SimpleNamespace(poll=lambda code=code: code, send_signal=lambda n, code=code: sent.append((code, n)))
        for code in (None, 0)
    )
    stop = StopAll([alive, ended])
    stop._note(signal.SIGTERM, None)
    assert sent == [(None, signal.SIGTERM)]
    assert stop.noted
    stop._note(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        stop._note(signal.SIGINT, None)


def test_a_process_that_ends_by_itself_is_reported_once(caplog):
    class Ended:
        def __init__(self, code: int | None):
            self.returncode = code

        def poll(self) -> int | None:
            return self.returncode

    stop = StopAll([Ended(None), Ended(0), Ended(-9)])
    stop.check_workers()
    stop.check_workers()
    assert [record.getMessage() for record in caplog.records] == [
        "error: a process has ended with -9; resume=… trains its members on"
    ]
