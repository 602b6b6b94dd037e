"""The Dirac-GAN in the plane of its two weights: its vector field, the maps of two orders of updates, eigenvalues.

    v(θ, ψ) = (−∂L_G/∂θ, −∂(L_D + P)/∂ψ)                        where gradient descent goes from (θ, ψ)

    simultaneous    θ ← θ + h v_θ(θ, ψ),  ψ ← ψ + h v_ψ(θ, ψ)    both from the old weights
    alternating     ψ ← ψ + h v_ψ(θ, ψ),  θ ← θ + h v_θ(θ, ψ)    G from the new ψ: Algorithm 1 with k = 1

h is the learning rate. The data are at 0, so that (0, 0) is the equilibrium. Near it a map multiplies the distance per
iteration by the largest |λ| of its Jacobian's eigenvalues: below 1 it converges linearly, above 1 it leaves; at 1 the
Jacobian does not decide.
Source: Mescheder, Geiger, Nowozin 2018, "Which training methods for GANs do actually converge?", sections 2 to 4
(arXiv:1801.04406).
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd import grad
from torch.autograd.functional import jacobian

from ganduel.batch import Minibatch
from ganduel.compare.reading import Run
from ganduel.errors import UserError
from ganduel.factory.part import build
from ganduel.loss.base import Loss
from ganduel.penalty.base import Penalty
from ganduel.plot import BLUE, GREY, ORANGE
from ganduel.rng import Draws
from ganduel.trust import check_stored

NEAR = 1e-9  # of the equilibrium, where a smooth field is as good as 0
WEIGHTS = ("weight/g/theta", "weight/d/psi")  # the columns of callback=[weights] that are drawn
MOST = 3.0  # of the axes, in both directions
ARROWS = 9  # of the field, along each axis
CAPTION = (
    "From the dot to the cross, over the field that gradient descent follows; + is the equilibrium. |λ|: what an\n"
    "iteration multiplies the distance from it by, near it. Where v jumps there is no such number."
)


class DiracGame:
    """What both players minimise, as functions of (θ, ψ), in float64.

    Args:
        loss: of both.
        penalties: of D; copied, as they may keep something from one update to the next.
        lr: h, of both.
        unroll: steps of ψ after which L_G is taken, and through which θ is differentiated.
    """

    def __init__(self, loss: Loss, penalties: Sequence[Penalty] = (), lr: float = 0.1, unroll: int = 0):
        self.loss, self.initial, self.lr, self.unroll = loss, list(penalties), lr, unroll
        self.reset()
        zero = torch.zeros(1, 1, dtype=torch.float64)
        self.minibatch = Minibatch(zero, None, zero, None, Draws("cpu", 1))

    def reset(self) -> None:
        """Forget what penalties have kept, which is no function of (θ, ψ)."""
        self.penalties = [deepcopy(penalty).double() for penalty in self.initial]

    def loss_d(self, theta: Tensor, psi: Tensor) -> Tensor:
        """L_D + P."""

        def logits(x: Tensor, y: None = None) -> Tensor:
            return psi * x.squeeze(1)

        b, fake = self.minibatch, theta.view(1, 1)
        penalty = sum((p.every * p(logits, b, fake) for p in self.penalties), psi.new_zeros(()))
        return self.loss.discriminator(logits(b.real), logits(fake)) + penalty

    def loss_g(self, theta: Tensor, psi: Tensor) -> Tensor:
        penalties = self.penalties
        for _ in range(self.unroll):
            self.penalties = deepcopy(self.penalties)  # what they keep is not of these steps
            psi = self.step_d(theta, psi)
        self.penalties = penalties
        real, fake = psi * self.minibatch.real.squeeze(1), psi * theta.view(1)
        return self.loss.generator(real, fake)

    def gradient_d(self, theta: Tensor, psi: Tensor) -> Tensor:
        return partial_derivative(lambda psi: self.loss_d(theta, psi), psi)

    def gradient_g(self, theta: Tensor, psi: Tensor) -> Tensor:
        return partial_derivative(lambda theta: self.loss_g(theta, psi), theta)

    def field(self, point: Tensor) -> Tensor:
        """The field v at (θ, ψ)."""
        self.reset()
        theta, psi = point.detach().requires_grad_().unbind()
        return -torch.stack([self.gradient_g(theta, psi), self.gradient_d(theta, psi)]).detach()

    def step_d(self, theta: Tensor, psi: Tensor) -> Tensor:
        """The next ψ."""
        new_psi = psi - self.lr * self.gradient_d(theta, psi)
        for penalty in self.penalties:
            penalty.after_step([new_psi])
        return new_psi

    def step(self, point: Tensor, simultaneous: bool = False) -> Tensor:
        """The next (θ, ψ), differentiable in this one."""
        theta, psi = point.unbind()
        new_psi = self.step_d(theta, psi)
        return torch.stack([theta - self.lr * self.gradient_g(theta, psi if simultaneous else new_psi), new_psi])

    def path(self, start: Sequence[float], steps: int, simultaneous: bool = False) -> Tensor:
        """The weights before training and after each step, (steps + 1, 2)."""
        self.reset()
        points = [torch.tensor(start, dtype=torch.float64)]
        for _ in range(steps):
            points.append(self.step(points[-1].requires_grad_(), simultaneous).detach())
        return torch.stack(points).detach()

    def jacobian(self, simultaneous: bool = False) -> Tensor | None:
        """Of the map at the equilibrium; None if v jumps there, as under a penalty that wants D to have a slope."""
        above, below = (self.field(torch.tensor([0.0, psi], dtype=torch.float64)) for psi in (NEAR, -NEAR))
        if (above - below).norm() > 1e3 * NEAR:
            return None
        self.reset()
        near = torch.full((2,), NEAR, dtype=torch.float64)  # a norm has no second derivative at 0
        return cast(Tensor, jacobian(partial(self.step, simultaneous=simultaneous), near))

    def multiplier(self, simultaneous: bool = False) -> float | None:
        """The largest |λ| of the Jacobian."""
        matrix = self.jacobian(simultaneous)
        return None if matrix is None else torch.linalg.eigvals(matrix).abs().max().item()


def partial_derivative(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """∂loss/∂x, in which all else that the loss depends on is constant: the new ψ is a function of the old θ."""
    x = x.clone()
    return grad(loss(x), x, create_graph=True, materialize_grads=True)[0]


def draw(runs: Sequence[Run]) -> Any:
    """The paths of runs over their fields, a row per loss and a column per penalty.

    Raises:
        UserError: none of the runs has logged the weights of a Dirac-GAN.
    """
    from matplotlib.figure import Figure

    paths = {run.folder: path_of(run) for run in runs if set(WEIGHTS) <= run.curves.keys()}
    runs = [run for run in runs if run.folder in paths]
    if not runs:
        raise UserError("no run has logged the weights of a Dirac-GAN. Make some: ganduel train experiment=dirac")
    rows, columns = (list(dict.fromkeys(cell_of(run)[i] for run in runs)) for i in (0, 1))
    reach = min(MOST, 1.05 * max(np.abs(path).max() for path in paths.values()))
    size = (1.6 * len(columns) + 0.4, 1.6 * len(rows) + 0.8)
    canvas = Figure(figsize=size, dpi=120, layout="constrained")
    axes = canvas.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat:
        axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    for name, axis in [*zip(columns, axes[0], strict=True), *zip(rows, axes[:, 0], strict=True)]:
        axis.set_title(name, fontsize=8) if name in columns else axis.set_ylabel(f"{name}\nψ", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("θ", fontsize=8)
    for run in runs:
        row, column = cell_of(run)
        draw_run(axes[rows.index(row), columns.index(column)], run, paths[run.folder], reach)
    canvas.supxlabel(CAPTION, fontsize=8, x=0.01, ha="left")
    return canvas


def draw_run(axis: Any, run: Run, path: np.ndarray, reach: float) -> None:
    """A path from the dot to the cross, over the field; |λ| for the optimizer that the theory is about."""
    if not axis.lines:
        game = game_of(run)
        grid = np.linspace(-reach, reach, ARROWS + 2)[1:-1]
        field = np.array([[game.field(torch.tensor([x, y])).numpy() for x in grid] for y in grid])
        field /= np.linalg.norm(field, axis=2, keepdims=True) + 1e-12
        axis.quiver(
            grid, grid, field[..., 0], field[..., 1], color="#b0b0b0", pivot="mid", scale=1.2 * ARROWS, width=0.008
        )
        axis.plot(0, 0, "+", color=GREY, ms=6)
        if (text := multiplier_text(run, game)) is not None:
            axis.text(0.03, 0.03, text, transform=axis.transAxes, fontsize=6)
    axis.plot(*path.T, color=BLUE, lw=0.9)
    axis.plot(*path[0], "o", color=BLUE, ms=3)
    axis.plot(*path[-1], "x", color=ORANGE, ms=5, mew=1.5)


def path_of(run: Run) -> np.ndarray:
    """(θ, ψ) at all iterations that have both."""
    path = np.stack([run.curves[key] for key in WEIGHTS], 1)
    return path[np.isfinite(path).all(1)]


def cell_of(run: Run) -> tuple[str, str]:
    """The run's loss and penalties, as they were chosen."""
    choices = run.config["run"]["choices"]
    return choices["loss"], choices["penalty"].replace("none", "no penalty")


def game_of(run: Run) -> DiracGame:
    """The game that the run's networks play, from its config."""
    parts = {"loss": run.config["loss"], "penalty": run.config["penalty"] or {}}
    check_stored(parts, run.folder, "it to the package: a figure draws built-in parts alone")
    penalties = [build(node, f"penalty.{name}") for name, node in parts["penalty"].items()]
    lr, unroll = run.config["optimizer"]["discriminator"]["lr"], run.config.get("unroll", 0)
    return DiracGame(build(parts["loss"], "loss"), penalties, lr, unroll)


def multiplier_text(run: Run, game: DiracGame) -> str | None:
    """|λ| of the run's own updates; None if they are not those of the theory."""
    d, g = (run.config["optimizer"][name] for name in ("discriminator", "generator"))
    if d != g or not d["_target_"].endswith(".SGD") or d.get("momentum") or run.config["k"] != 1:
        return None
    value = game.multiplier()
    return "v jumps at ψ = 0" if value is None else f"|λ| = {value:.3f}"
