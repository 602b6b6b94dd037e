"""A worker thread that makes calls to a service which may be slow, hang or fail, in the order of their submission."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import Queue
from threading import Thread
from typing import Any


class SerialWorker:
    """Runs tasks in order in a daemon thread, which delays neither training nor the end of the program."""

    def __init__(self) -> None:
        self.tasks: Queue[tuple[Callable[[], Any], Future] | None] = Queue()
        Thread(target=self.work, name="ganduel-wandb", daemon=True).start()

    def submit(self, call: Callable[[], Any]) -> Future:
        """Queue a call; returns a future of its result."""
        future: Future = Future()
        self.tasks.put((call, future))
        return future

    def pending(self) -> int:
        """The number of tasks that have not begun."""
        return self.tasks.qsize()

    def shutdown(self) -> None:
        """End the thread once all tasks are done."""
        self.tasks.put(None)

    def work(self) -> None:
        while (task := self.tasks.get()) is not None:
            call, future = task
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
