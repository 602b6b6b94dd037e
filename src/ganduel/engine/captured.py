"""An engine that captures the kernels of an update once, and from then on launches them without Python.

A small GAN's iteration is a few hundred kernels of a few microseconds each, and Python takes longer to launch one than
a GPU to run it. A capture is the list of kernels with their arguments: what Python did between them is not done again.
So all that changes between iterations must lie in memory that stays where it is (the batch is copied into tensors of
the capture, a scheduled learning rate likewise), and what Python knows must stay as it was (ganduel.engine.host_state).

    iterations 1 … 3    run eagerly: libraries set themselves up, and what changes in each iteration is noticed
    iteration 4         is captured, and launched
    iteration 5         runs eagerly and captured from one state; what eager leaves counts (ganduel.engine.proof)
    from 6 on           is launched, if the two agreed

Updates with other penalties due are other kernels: each set of penalties has a capture of its own. Where anything is in
the way, iterations run eagerly for the rest of the run, and one line says why.
"""

from functools import partial
from typing import Any

from torch.optim import Optimizer

from ganduel.batch import Batch, Due, Outputs
from ganduel.engine.base import Capture, CaptureError, log_fallback, optimizers_of, unsupported_reason
from ganduel.engine.captured_update import CapturedUpdate, Update
from ganduel.engine.host_state import HostState, host_random_state
from ganduel.engine.proof import STRICT, State, prove

WARM_UP = 3


class CapturedStep:
    """The engine: calls a GAN's update, and after a few iterations launches its capture instead.

    Numbers that an update returns are copies; logits lie in the capture's memory, and the next launch overwrites them.
    """

    def __init__(self, capture: Capture):
        self.capture = capture
        self.optimizers: list[Optimizer] = []

    def __call__(self, update: Update, batch: Batch, due: Due) -> Outputs:
        gan: Any = update.__self__  # type: ignore[attr-defined]
        if (optimizers := optimizers_of(gan)) != self.optimizers:
            self.begin(gan, optimizers)
        if not self.active:
            return update(batch, due)
        try:
            return self.run(gan, update, batch, due)
        except CaptureError as error:
            self.fall_back(str(error))
            return update(batch, due)

    def begin(self, gan: Any, optimizers: list[Optimizer]) -> None:
        """Start over, as optimizers do when a fit begins."""
        self.optimizers = optimizers
        self.warm_ups, self.host_states = dict[Due, int](), dict[Due, HostState]()
        self.captured = dict[Due, CapturedUpdate]()
        reason = unsupported_reason(gan, optimizers)
        self.active = reason is None
        if reason is not None:
            log_fallback(self.capture.engine, reason)

    def run(self, gan: Any, update: Update, batch: Batch, due: Due) -> Outputs:
        """The next iteration; a CaptureError comes before anything is updated."""
        host_state = self.host_states.get(due)
        if host_state is not None and (name := host_state.changed()) is not None:
            raise CaptureError(f"{name} has changed")
        if host_state is None or self.warm_ups[due] < WARM_UP:
            return self.warm_up(gan, update, batch, due)
        if due not in self.captured:
            self.captured[due] = CapturedUpdate(self.capture, host_state, self.optimizers, update, batch, due)
        elif not self.captured[due].proved:
            return self.prove(host_state, update, batch, due)
        return self.captured[due].launch(batch)

    def warm_up(self, gan: Any, update: Update, batch: Batch, due: Due) -> Outputs:
        device = self.capture.generator.device
        before = host_random_state(device)
        outputs = self.capture.warm_up(partial(update, batch, due))
        self.warm_ups[due] = self.warm_ups.get(due, 0) + 1
        if due not in self.host_states:  # optimizers have filled their states
            self.host_states[due] = HostState(gan, self.optimizers)
        if host_random_state(device) != before:
            self.fall_back("an update draws random numbers on the host")
        return outputs

    def prove(self, host_state: HostState, update: Update, batch: Batch, due: Due) -> Outputs:
        captured = self.captured[due]
        state = State(self.optimizers, host_state.tensors, captured.generators)
        eager = partial(self.capture.warm_up, partial(update, batch, due))
        outputs, difference = prove(state, eager, partial(captured.launch, batch), STRICT, launches=2)
        captured.proved = difference is None
        if difference is not None:
            self.fall_back(f"the captured step gives {difference}")
        return outputs

    def fall_back(self, reason: str) -> None:
        """Run eagerly from here on."""
        self.active = False
        self.captured.clear()
        for optimizer in self.optimizers:
            optimizer.zero_grad()  # gradients may lie in a capture's memory
        log_fallback(self.capture.engine, reason)
