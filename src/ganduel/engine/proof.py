"""Whether a fast form of an update does what the update does, tried on the state of the run itself.

    s₀ = the state, copied        e = update(s₀)        f₁, f₂ = fast(s₀), fast(s₀)        the run goes on from e

    proved if  ‖f₁ − e‖ ≤ max(tolerance · ‖e − s₀‖, ten times ‖f₁ − f₂‖ but at most ‖e − s₀‖ / 10, rounding of ‖e‖)

for the weights of each optimizer, for each kind of its state and for each other tensor; for what is returned ‖e‖ takes
the place of ‖e − s₀‖. ‖f₁ − f₂‖ is what kernels differ by from run to run, and 0 for most. The run is the same whatever
comes out, as it goes on from what the update itself did.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from ganduel.batch import Outputs


@dataclass(frozen=True)
class Tolerance:
    """Of what an update changes, and of what it returns; relative."""

    state: float
    outputs: float


STRICT = Tolerance(1e-3, 1e-4)  # the same kernels; in float64 a thousandth of it


@dataclass(frozen=True)
class Snapshot:
    """Copies of tensors, and the states of generators."""

    tensors: list[Tensor]
    generators: list[Tensor]


class State:
    """What an update may change on the device.

    Args:
        optimizers: those that take its steps.
        tensors: all that they and the networks hold.
        generators: what it may draw from.
    """

    def __init__(
        self, optimizers: Sequence[Optimizer], tensors: Sequence[Tensor], generators: Sequence[torch.Generator]
    ):
        self.tensors, self.generators = tensors, generators
        kinds: dict[int, tuple[str, object]] = {}
        for i, optimizer in enumerate(optimizers):
            kinds |= {id(p): ("weights", i) for group in optimizer.param_groups for p in group["params"]}
            for state in optimizer.state.values():
                kinds |= {id(value): ("states of optimizers", (i, key)) for key, value in state.items()}
        # The tensors of each kind, by number; weights first, so that a difference is said to be theirs.
        self.kinds: dict[tuple[str, object], list[int]] = {kind: [] for kind in kinds.values()}
        for number, tensor in enumerate(tensors):
            self.kinds.setdefault(kinds.get(id(tensor), ("buffers", number)), []).append(number)

    @torch.no_grad()
    def copy(self) -> Snapshot:
        return Snapshot([t.clone() for t in self.tensors], [g.get_state() for g in self.generators])

    @torch.no_grad()
    def restore(self, snapshot: Snapshot) -> None:
        for tensor, value in zip(self.tensors, snapshot.tensors, strict=True):
            if not torch.equal(tensor, value):  # constants may be such as cannot be written to
                tensor.copy_(value)
        for generator, state in zip(self.generators, snapshot.generators, strict=True):
            generator.set_state(state)


def prove(
    state: State, update: Callable[[], Outputs], fast: Callable[[], Outputs], tolerance: Tolerance, launches: int
) -> tuple[Outputs, str | None]:
    """Run the update, and from the same state its fast form; returns what the update does.

    Returns:
        What the update returned; and in a few words what the fast form does differently, None if nothing.
    """
    before = state.copy()
    outputs = update()
    after = state.copy()
    tries = list[tuple[Outputs, Snapshot]]()
    try:
        for _ in range(launches):
            state.restore(before)
            tries.append(({name: value.clone() for name, value in fast().items()}, state.copy()))
    except Exception as error:
        return outputs, f"an error: {(str(error).splitlines() or [type(error).__name__])[0]}"
    finally:
        state.restore(after)
    return outputs, difference(state, before, after, outputs, tries, tolerance)


def difference(
    state: State,
    before: Snapshot,
    after: Snapshot,
    outputs: Outputs,
    tries: Sequence[tuple[Outputs, Snapshot]],
    tolerance: Tolerance,
) -> str | None:
    """What differs beyond the tolerance."""
    for (kind, _), numbers in state.kinds.items():
        start, end, *fast = ([s.tensors[i] for i in numbers] for s in (before, after, *(s for _, s in tries)))
        if not agree(end, fast, distance(end, start), tolerance.state):
            return f"other {kind} than eager"
    for name, value in outputs.items():
        if not agree([value], [[results[name]] for results, _ in tries], norm([value]), tolerance.outputs):
            return f"another {name} than eager"
    return None


def agree(expected: list[Tensor], fast: list[list[Tensor]], scale: float, tolerance: float) -> bool:
    """Whether the first of the fast ones is what was expected; the last says how far two launches are apart."""
    precision = min((torch.finfo(t.dtype).eps for t in expected if t.is_floating_point()), default=1e-16)
    if precision < 1e-10:
        tolerance /= 1000
    spread = min(10 * distance(fast[0], fast[-1]), scale / 10)
    error = distance(expected, fast[0])
    return error == 0 or error <= max(tolerance * scale, spread, 8 * precision * norm(expected))


def distance(some: list[Tensor], others: list[Tensor]) -> float:
    """‖x − y‖; values that are equal, or both NaN, are at distance 0, also where they are infinite."""
    pairs = [(x.detach().double(), y.detach().double()) for x, y in zip(some, others, strict=True)]
    return norm([torch.where((x == y) | (x.isnan() & y.isnan()), 0.0, x - y) for x, y in pairs])


def norm(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(tensor.detach().double().square().sum().item() for tensor in tensors))
