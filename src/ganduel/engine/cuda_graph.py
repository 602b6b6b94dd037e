"""CUDA graphs: the kernels of an update, captured by torch.cuda.graph and launched as one.

It takes a GPU, one rank and optimizers that count on the device; whatever else is needed is found out by the proof.
Source: "CUDA semantics, whole-network capture" in PyTorch's documentation.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ganduel.batch import Engine
from ganduel.distributed import on_cpu
from ganduel.engine.base import Capture, CaptureError
from ganduel.engine.captured import CapturedStep
from ganduel.errors import UserError


def build(trainer: Mapping[str, Any]) -> Engine:
    """The engine, on the GPU that the trainer will use."""
    if on_cpu(trainer) or not torch.cuda.is_available():
        accelerator = None if on_cpu(trainer) else torch.accelerator.current_accelerator()
        device = "cpu" if accelerator is None else accelerator.type
        raise UserError(f"engine=cuda_graph needs a CUDA device, and this run is on {device}. Use engine=auto.")
    return CapturedStep(CUDACapture())


class CUDACapture(Capture):
    """On one stream for warm-up and capture, made when the training device is known."""

    engine = "cuda_graph"
    lr_dtype = torch.float32  # of fused optimizers
    stream: torch.cuda.Stream | None = None

    @property
    def generator(self) -> torch.Generator:
        return torch.cuda.default_generators[torch.cuda.current_device()]

    def warm_up(self, function: Callable[[], Any]) -> Any:
        if self.stream is None:
            self.stream = torch.cuda.Stream()
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            result = function()
        torch.cuda.current_stream().wait_stream(self.stream)
        return result

    def capture(self, function: Callable[[], Any], generators: Sequence[torch.Generator]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        generators = [generator for generator in generators if generator.device.type == "cuda"]
        states = [generator.clone_state() for generator in generators]
        for generator in generators:
            if generator is not self.generator:  # which every graph knows
                graph.register_generator_state(generator)  # a launch draws what it would give
        current = torch.cuda.current_stream()
        try:
            # Other threads, such as W&B's, may do what they like meanwhile.
            with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                function()
        except Exception as error:  # a synchronisation, or what else cannot be captured: torch says which
            torch.cuda.set_stream(current)  # torch.cuda.graph does not, when it fails
            for generator, state in zip(generators, states, strict=True):
                generator.graphsafe_set_state(state)  # what took part in a failed capture would not draw again
            first = error.__context__ or error  # ending the capture fails too
            raise CaptureError((str(first).splitlines() or [type(first).__name__])[0]) from error
        return graph.replay
