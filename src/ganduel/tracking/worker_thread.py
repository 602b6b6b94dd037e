"""Errands for a service that may be slow, hang or fail, run in order beside the program that has no time for that."""

from collections.abc import Callable
from concurrent.futures import Future
from queue import Queue
from threading import Thread
from typing import Any


class Courier:
    """Does what it is given, in order, in a thread that holds up neither training nor the program's end."""

    def __init__(self) -> None:
        self.errands: Queue[tuple[Callable[[], Any], Future] | None] = Queue()
        Thread(target=self.work, name="ganduel-wandb", daemon=True).start()

    def take(self, call: Callable[[], Any]) -> Future:
        """Queue a call; the future has what becomes of it."""
        future: Future = Future()
        self.errands.put((call, future))
        return future

    def waiting(self) -> int:
        return self.errands.qsize()

    def dismiss(self) -> None:
        """End the thread once all is done."""
        self.errands.put(None)

    def work(self) -> None:
        while (errand := self.errands.get()) is not None:
            call, future = errand
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
