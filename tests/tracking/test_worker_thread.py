"""Errands are run in order; what fails or hangs among them holds up nobody."""

from threading import Event
from threading import enumerate as threads

import pytest

from ganduel.tracking.worker_thread import SerialWorker


def test_tasks_are_run_in_order_and_come_back():
    worker, done = SerialWorker(), []
    futures = [worker.submit(lambda n=n: done.append(n) or n) for n in range(100)]
    assert [future.result(5) for future in futures] == list(range(100)) == done


def test_a_failure_stays_with_its_task():
    worker = SerialWorker()
    failed, next_one = worker.submit(lambda: 1 / 0), worker.submit(lambda: 2)
    with pytest.raises(ZeroDivisionError):
        failed.result(5)
    assert next_one.result(5) == 2


def test_one_that_hangs_keeps_the_others_waiting_but_not_the_caller():
    worker, go, begun = SerialWorker(), Event(), Event()
    worker.submit(lambda: begun.set() or go.wait(5))
    assert begun.wait(5)
    last = worker.submit(lambda: "done")
    assert not last.done()
    assert worker.pending() == 1
    go.set()
    assert last.result(5) == "done"


def test_the_thread_ends_when_dismissed_and_never_holds_up_the_program():
    before = set(threads())
    worker = SerialWorker()
    (thread,) = set(threads()) - before
    assert thread.daemon
    last = worker.submit(lambda: "done")
    worker.shutdown()
    assert last.result(5) == "done"
    thread.join(5)
    assert not thread.is_alive()
