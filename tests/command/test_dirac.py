"""The Dirac-GAN against theory: eigenvalues in closed form, invariants, rates; and the loop against runs."""

import math
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml

from ganduel.command.dirac import DiracGame, cell_of, draw, path_of
from ganduel.command.figure import figure
from ganduel.compare.reading import Run, read_all
from ganduel.data.dirac import Dirac
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.factory.part import build
from ganduel.loss.base import Loss

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
TABLE = re.findall(r"^\| `(\w+)`.*?\| (.*?) \| (.*?) \| none \|$", PAGE, re.MULTILINE)
H = 0.1
OPTIONS = {"r1": {"gamma": 1.0}, "r2": {"gamma": 1.0}, "gradient_penalty": {"weight": 1.0}, "dragan": {"weight": 1.0},
           "lecam": {"weight": 1.0}, "clip_weights": {"c": 1.0}}  # fmt: skip
SLOPES = {  # of D's and G's losses at logit 0, by hand: 1/2 = sigmoid(0), 1/e = exp(0 − 1)
    "saturating": (0.5, -0.5),
    "nonsaturating": (0.5, -0.5),
    "relativistic": (0.5, -0.5),
    "relativistic_average": (1.0, -1.0),
    "wasserstein": (1.0, -1.0),
    "hinge": (1.0, -1.0),
    "f_divergence": (1 / math.e, -1 / math.e),
    "least_squares": (0.0, -1.0),
}


def loss(name: str, **options: float) -> Loss:
    return build(yaml.safe_load((ROOT / "conf" / "loss" / f"{name}.yaml").read_text(encoding="utf-8")) | options)


def game(name: str, *penalties: str, loss_options: Any = None, unroll: int = 0, **options: float) -> DiracGame:
    """The game of a loss and penalties by their config files, these with the experiment's options or others."""
    nodes = [
        yaml.safe_load((ROOT / "conf" / "penalty" / f"{p}.yaml").read_text(encoding="utf-8"))[p] for p in penalties
    ]
    parts = [build(node | OPTIONS[p] | options) for p, node in zip(penalties, nodes, strict=True)]
    return DiracGame(loss(name, **(loss_options or {})), parts, H, unroll)


def distances(*args: str, start: tuple = (1.0, 1.0), steps: int, simultaneous: bool = False, **more: Any) -> np.ndarray:
    return game(*args, **more).path(start, steps, simultaneous).norm(dim=1).numpy()


def largest_root(a: float, b: float, simultaneous: bool) -> float:
    """Of the characteristic polynomial of an iteration: a = h² d g, b = h γ."""
    polynomial = [1, -(2 - b), 1 - b + a] if simultaneous else [1, -(2 - b - a), 1 - b]
    return max(abs(np.roots(polynomial)))


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("simultaneous", [True, False])
def test_eigenvalues_are_those_of_the_paper(name, simultaneous):
    """A gradient penalty with target 0 and weight w is R1 with γ = 2w near the equilibrium."""
    d, g = SLOPES[name]
    cells = {(): 0.0, ("clip_weights",): 0.0, ("lecam",): 0.0, ("r1",): 1.0, ("r2",): 1.0, ("r1", "r2"): 2.0}
    for penalties, gamma in cells.items():
        expected = largest_root(-(H**2) * d * g, H * gamma, simultaneous)
        assert game(name, *penalties).multiplier(simultaneous) == pytest.approx(expected, abs=1e-6), penalties
    zero_centred = game(name, "gradient_penalty", target=0.0, weight=1.5).multiplier(simultaneous)
    assert zero_centred == pytest.approx(largest_root(-(H**2) * d * g, H * 3, simultaneous), abs=1e-6)
    assert game(name, "gradient_penalty").multiplier(simultaneous) is None
    assert game(name, "dragan").multiplier(simultaneous) is None


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("simultaneous", [True, False])
def test_unrolled_it_is_as_with_r1(name, simultaneous):
    """Near the equilibrium: K steps of D are γ = 2 K h d g."""
    d, g = SLOPES[name]
    for steps in (1, 5):
        expected = largest_root(-(H**2) * d * g, -2 * steps * H**2 * d * g, simultaneous)
        assert game(name, unroll=steps).multiplier(simultaneous) == pytest.approx(expected, abs=1e-6)


def test_the_table_of_the_page():
    assert [row[0] for row in TABLE] == list(SLOPES)
    for name, without, r1 in TABLE:
        for cell, penalties in ((without, ()), (r1, ("r1",))):
            values = [game(name, *penalties).multiplier(simultaneous) for simultaneous in (True, False)]
            assert cell == ", ".join(f"{value:.4f}" for value in values), name


@pytest.mark.parametrize("name", ["saturating", "hinge", "f_divergence"])
@pytest.mark.parametrize("simultaneous", [True, False])
@pytest.mark.parametrize("penalties", [(), ("r2",)])
def test_paths_near_the_equilibrium_follow_the_jacobian(name, simultaneous, penalties):
    start, steps = [2e-4, -1e-4], 40
    near = game(name, *penalties)
    expected = torch.linalg.matrix_power(near.jacobian(simultaneous), steps) @ torch.tensor(start, dtype=torch.float64)
    torch.testing.assert_close(near.path(start, steps, simultaneous)[-1], expected, rtol=1e-4, atol=0)


def test_alternating_wasserstein_stays_on_its_ellipse_and_simultaneous_leaves():
    """θ² + ψ² − h θψ is constant; both at once, the distance is √(1 + h²) times as large after each step."""
    path = game("wasserstein").path([1.0, 1.0], 100)
    torch.testing.assert_close(path.square().sum(1) - H * path.prod(1), torch.full((101,), 1.9).double())
    r = distances("wasserstein", steps=20, simultaneous=True)
    assert r[1:] / r[:-1] == pytest.approx(math.sqrt(1 + H**2))


def test_saturating_circles_or_leaves():
    assert (np.diff(distances("saturating", steps=100, simultaneous=True)) > 0).all()
    r = distances("saturating", steps=126)  # once round takes 4π/h
    assert min(r) > 1.3
    assert max(r) < 1.5


@pytest.mark.parametrize(("name", "rate"), [("nonsaturating", 1 / 8), ("relativistic_average", 1 / 4)])
def test_nonsaturating_converges_more_slowly_than_linearly(name, rate):
    """Over a turn dr²/dt = −E[2u tanh(u/2)], u = θψ, which is −r⁴/8 where u is small: 1/r² grows by t/8."""
    r = distances(name, start=(1.0, 0.0), steps=130)
    assert 1 / r[-1] ** 2 == pytest.approx(1 + rate * 130 * H, rel=0.08)


def test_pairs_are_as_nonsaturating():
    """Since D(0) = 0."""
    assert torch.equal(game("relativistic").path([1.0, 1.0], 10), game("nonsaturating").path([1.0, 1.0], 10))


def test_nonsaturating_by_simultaneous_updates_ends_on_a_circle():
    """Where h/4 · r², what a step adds, is r⁴/8, what the loss takes: r² = 2h."""
    for start in (0.40, 0.50):
        r = distances("nonsaturating", start=(start, 0.0), steps=80, simultaneous=True)
        assert abs(r[-1] - math.sqrt(2 * H)) < abs(r[0] - math.sqrt(2 * H))


def test_a_clipped_wasserstein_critic_circles():
    path = game("wasserstein", "clip_weights").path([1.0, 1.0], 120)
    assert path[:, 1].abs().max() == 1
    assert path[60:].norm(dim=1).min() > 0.9


@pytest.mark.parametrize(("name", "penalty"), [("wasserstein", "gradient_penalty"), ("hinge", "dragan")])
def test_a_slope_of_one_leaves_the_equilibrium_and_rests_elsewhere(name, penalty):
    """At ψ = 0+ the penalty draws D up by 2w and the loss draws it down by d θ: both rest at θ = 2w/d."""
    end = game(name, penalty).path([0.01, 0.01], 150)[-1]
    torch.testing.assert_close(end, torch.tensor([2.0, 0.0]).double(), atol=0.02, rtol=0)


def test_least_squares_needs_targets_on_both_sides_of_zero():
    """D(0) = 0 is the target of generated samples: D grows flat, and G stays; with −1 there R1 brings both to 0."""
    theta, psi = game("least_squares", "r1").path([1.0, 1.0], 60)[-1].tolist()
    assert abs(psi) < 0.01
    assert theta > 1
    assert distances("least_squares", "r1", steps=80, loss_options={"fake": -1.0})[-1] < 0.05


RUNS = {"nonsaturating": ("r1",), "wasserstein": ("clip_weights",), "hinge": ("gradient_penalty",),
        "relativistic_average": ("lecam",), "f_divergence": ()}  # fmt: skip


DIRAC = ("data=dirac", "model=dirac", "batch_size=2", "optimizer=sgd", "optimizer.discriminator.momentum=0",
         "optimizer.generator.momentum=0")  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_runs_take_the_steps_of_the_loop(compose, fit, name):
    """Algorithm 1 in Lightning, from the experiment's own config, against the loop written out."""
    check_run(compose, fit, name, RUNS[name])


@pytest.mark.parametrize("name", ["wasserstein", "relativistic_average"])
def test_so_do_unrolled_runs(compose, fit, name):
    check_run(compose, fit, name, RUNS[name], unroll=3)


def check_run(compose, fit, name: str, penalties: tuple[str, ...], unroll: int = 0) -> None:
    options = [f"penalty.{p}.{key}={value}" for p in penalties for key, value in OPTIONS[p].items()]
    config = compose(*DIRAC, f"loss={name}", f"penalty=[{','.join(penalties)}]", f"unroll={unroll}", *options)
    gan = build_gan(config, Dirac())
    fit(gan=gan)
    path = game(name, *penalties, unroll=unroll).path([1.0, 1.0], 6)
    weights = [cast(Any, gan.generator).theta.item(), cast(Any, gan.discriminator).psi.item()]
    assert weights == pytest.approx(path[-1].tolist(), abs=1e-6)


def run(name: str, penalty: str = "none", **changes: Any) -> Run:
    """A run without files, of three iterations and a row without weights."""
    sgd = {"_target_": "torch.optim.SGD", "lr": H, "momentum": 0.0}
    nodes = {} if penalty == "none" else {penalty: {"_target_": "ganduel.penalty.r1.R1", "gamma": 1.0}}
    config = {"loss": yaml.safe_load((ROOT / "conf" / "loss" / f"{name}.yaml").read_text()), "penalty": nodes, "k": 1,
              "optimizer": {"discriminator": sgd, "generator": sgd},
              "run": {"choices": {"loss": name, "penalty": penalty}}} | changes  # fmt: skip
    curves = {"iteration": np.arange(4.0), "weight/g/theta": np.array([1, 0.5, math.nan, 0.2]),
              "weight/d/psi": np.array([1, -0.5, math.nan, 0.3])}  # fmt: skip
    return Run(Path(f"{name},{penalty}"), config, curves=curves)


def test_a_panel_per_loss_and_penalty(monkeypatch):
    monkeypatch.setattr("ganduel.command.dirac.ARROWS", 2)
    canvas = draw([run("wasserstein"), run("wasserstein", "r1"), run("saturating")])
    assert len(canvas.axes) == 4
    assert [axis.get_title() for axis in canvas.axes] == ["no penalty", "r1", "", ""]
    assert [axis.get_ylabel().split("\n")[0] for axis in canvas.axes] == ["wasserstein", "", "saturating", ""]
    assert [[text.get_text() for text in axis.texts] for axis in canvas.axes] == [
        ["|λ| = 1.000"], ["|λ| = 0.949"], ["|λ| = 1.000"], []
    ]  # fmt: skip
    path = canvas.axes[0].lines[1].get_xydata()
    assert path.tolist() == [[1, 1], [0.5, -0.5], [0.2, 0.3]]
    arrows = canvas.axes[0].collections[0]  # of v = (ψ, −θ), all of length 1
    x, y = arrows.get_offsets().T
    assert arrows.U * y - arrows.V * x == pytest.approx(np.hypot(x, y))


def test_other_optimizers_have_no_eigenvalues(monkeypatch):
    monkeypatch.setattr("ganduel.command.dirac.ARROWS", 2)
    canvas = draw([run("wasserstein", k=2)])
    assert list(canvas.axes[0].texts) == []


def test_runs_without_weights_are_refused(tmp_path):
    line = r"no run has logged the weights of a Dirac-GAN\. Make some: ganduel train experiment=dirac"
    with pytest.raises(UserError, match=line):
        figure("dirac", [], tmp_path / "a.png")


def test_a_loss_of_someone_else_is_not_built():
    """A run's folder may come from anyone."""
    with pytest.raises(UserError, match="names os\\.system"):
        draw([run("wasserstein", loss={"_target_": "os.system", "command": "true"})])


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_the_experiment_and_its_figure(command, tmp_path):
    """Two of its members; their paths are those of the loop."""
    grid = ("population.grid.loss=[wasserstein]", "population.grid.penalty=[[],[r1]]", "population.processes=1")
    words = ("trainer.max_steps=3", "trainer.accelerator=cpu", "hydra.run.dir=run")
    outcome = command("experiment=dirac", *grid, *words)
    assert outcome.code == 0, outcome.err
    runs = read_all([tmp_path / "run"])[0]
    assert [cell_of(run) for run in runs] == [("wasserstein", "no penalty"), ("wasserstein", "r1")]
    expected = game("wasserstein", "r1").path([1.0, 1.0], 3).numpy()
    assert path_of(runs[1]) == pytest.approx(expected, abs=1e-6)
    assert figure("dirac", ["run"], tmp_path / "a.png").stat().st_size > 0
