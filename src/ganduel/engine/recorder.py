"""How kernels are recorded, to be launched again: as a CUDA graph here, on a CPU as a replay (ganduel.replay)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class Recorder(ABC):
    """How kernels are recorded and launched again.

    Attributes:
        option: what asks for it.
        device: the kind whose kernels it records.
        place: the same, in words.
        otherwise: what happens where it cannot be.
        runs: whether what is recorded is also run.
        rates: the dtype in which a schedule's rates reach the kernels.
    """

    option: str
    device: str
    place: str
    otherwise: str
    runs: bool
    rates: torch.dtype

    @abstractmethod
    def warm_up(self, function: Callable[[], Any]) -> Any:
        """Call the function as it will be called when it is recorded, but for real."""

    @abstractmethod
    def record(self, function: Callable[[], Iterable[Tensor]]) -> Callable[[], None]:
        """Record the function's kernels; returns what launches them, and leaves the results in the same tensors.

        Raises:
            CannotBeRecorded: with the reason; what runs while it is recorded has run.
        """


class CannotBeRecorded(Exception):
    """Kernels cannot be recorded, or not all that the function does is in them."""


class CUDARecorder(Recorder):
    """By torch.cuda.graph, on one stream of its own for both."""

    option, otherwise = "trainer.cuda_graph", "iterations are launched kernel by kernel"
    device, place = "cuda", "a CUDA device"
    runs, rates = False, torch.float32

    def __init__(self):
        self.stream = torch.cuda.Stream()

    def warm_up(self, function: Callable[[], Any]) -> Any:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            result = function()
        torch.cuda.current_stream().wait_stream(self.stream)
        return result

    def record(self, function: Callable[[], Iterable[Tensor]]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads, such as W&B's, may do what they like meanwhile.
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                function()
        except RuntimeError as error:  # a synchronisation, or what else cannot be recorded: torch says which
            raise CannotBeRecorded((str(error).splitlines() or ["it cannot be recorded"])[0]) from error
        return graph.replay


def recording() -> bool:
    """Whether kernels are recorded for a CUDA graph at the moment, not run."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


class Beside:
    """Kernels that nobody waits for until `join`: in a CUDA graph they run beside those that come next."""

    stream: torch.cuda.Stream | None = None

    @contextmanager
    def fork(self) -> Iterator[None]:
        """What is launched inside waits for all that was before, and nothing for it."""
        if not recording():
            yield
            return
        self.stream = torch.cuda.Stream()
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            yield

    def join(self) -> None:
        """What follows waits for it."""
        if self.stream is not None:
            torch.cuda.current_stream().wait_stream(self.stream)
            self.stream = None
