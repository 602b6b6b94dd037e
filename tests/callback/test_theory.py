"""D beside D*: closed forms at the equilibrium and away from it, and pictures that are there."""

import math

import pytest
import torch
from PIL import Image

from ganduel.callback.theory import Theory, optimal, theory
from ganduel.data.gaussian1d import Gaussian1D
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.factory.gan import build_gan
from ganduel.loss.hinge import Hinge
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.metric.functional import grid
from ganduel.tracking.base import Logger


class Rows(Logger):
    """Keeps what it gets."""

    def __init__(self):
        super().__init__()
        self.rows, self.pictures = [], []

    name = version = "rows"

    def log_metrics(self, metrics, step=None):
        self.rows.append(metrics)

    def log_picture(self, key, path, caption, step):
        self.pictures.append((key, path.name))


def normal(x, mean, sigma):
    return torch.distributions.Normal(mean, sigma).log_prob(x.squeeze(1))


@pytest.fixture(scope="module")
def line():
    return grid([-12.0], [12.0], 4000)


def test_equilibrium(line):
    """Equal densities and D = 1/2: V = −log 4, JSD = 0, and the bound is sharp."""
    x, cell = line
    log_p = normal(x, 1.0, 0.5)
    values = theory(torch.zeros(len(x)).double(), log_p, log_p, cell)
    assert values["theory/value"] == pytest.approx(-math.log(4))
    for key in ("d_gap", "jsd", "jsd_bound", "jsd_gap"):
        assert values[f"theory/{key}"] == pytest.approx(0, abs=1e-6), key


def test_best_discriminator_closes_the_bound(line):
    x, cell = line
    log_p, log_g = normal(x, 1.0, 0.5), normal(x, 0.0, 1.0)
    best = theory(log_p - log_g, log_p, log_g, cell)
    assert best["theory/d_gap"] == pytest.approx(0, abs=1e-6)
    assert best["theory/jsd_gap"] == pytest.approx(0, abs=1e-6)
    assert best["theory/value"] == pytest.approx(-math.log(4) + 2 * best["theory/jsd"])
    assert 0 < best["theory/jsd"] < math.log(2)
    assert all(abs(value) < 1e-6 for value in optimal(log_p - log_g, log_p, log_g, cell).values())


def test_any_other_discriminator_stays_below(line):
    x, cell = line
    log_p, log_g = normal(x, 1.0, 0.5), normal(x, 0.0, 1.0)
    for logits in ((log_p - log_g) + 1, torch.zeros(len(x)).double(), (log_g - log_p) / 5):
        assert theory(logits, log_p, log_g, cell)["theory/jsd_gap"] > 0.01


def test_gap_is_the_mean_over_the_mixture(line):
    """D a tenth above D* everywhere is 0.1 away on average; a swap of p and p_g changes nothing of it."""
    x, cell = line
    log_p, log_g = normal(x, 0.3, 1.0), normal(x, 0.0, 1.0)
    logits = torch.logit((log_p - log_g).sigmoid() + 0.1)
    values = theory(logits.nan_to_num(0), log_p, log_g, cell)
    assert values["theory/d_gap"] == pytest.approx(0.1, abs=1e-3)
    assert optimal(logits.nan_to_num(0), log_p, log_g, cell)["theory/optimal_d_gap"] == pytest.approx(0.1, abs=1e-3)


def test_disjoint_densities_give_log_2(line):
    x, cell = line
    log_p, log_g = normal(x, -6.0, 0.1), normal(x, 6.0, 0.1)
    assert theory(torch.zeros(len(x)).double(), log_p, log_g, cell)["theory/jsd"] == pytest.approx(math.log(2))


def test_rows_and_pictures_on_a_line(fit, tiny, tmp_path):
    """At 0, 1, 2, 3, 6 and one picture each at 0, 2, 3 (2 · 1.5), 4 (2 · 1.5²) and the last."""
    rows, gan = Rows(), build_gan(affine(tiny), Gaussian1D())
    fit(callbacks=[Theory(every_n_iterations=3, first=2, points=200, optimal_steps=2)], loggers=[rows], gan=gan)
    assert [row["iteration"] for row in rows.rows] == [0, 1, 2, 3, 4, 6]
    pictures = ["theory_00000000.png", "theory_00000002.png", "theory_00000003.png", "theory_00000004.png"]
    assert rows.pictures == [("samples/theory", name) for name in [*pictures, "theory_00000006.png"]]
    assert "theory/optimal_d_gap" in rows.rows[0]
    assert "theory/optimal_d_gap" not in rows.rows[1]
    with Image.open(tmp_path / "samples" / "theory_00000006.png") as picture:
        assert picture.size == (700, 400)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20
    assert (tmp_path / "samples" / "theory.gif").exists()


def affine(tiny):
    """A config of affine G and quadratic D."""
    config = tiny()
    config["model"] = {
        "generator": {"_target_": "ganduel.model.affine.AffineGenerator"},
        "discriminator": {"_target_": "ganduel.model.affine.QuadraticDiscriminator"},
    }
    return config


def test_estimated_density_in_the_plane(fit, tiny):
    """Of samples of the data the shares of cells are p's, which sum to 1; a point is counted where it is."""
    callback = Theory(every_n_iterations=3, points=40, samples=50_000)
    fit(callbacks=[callback], gan=build_gan(tiny(), Ring8()))
    world = Ring8()
    assert callback.log_p.exp().sum().item() * callback.cell == pytest.approx(1, abs=1e-3)
    real = world.reference("train", 50_000).double()
    counts = callback.cells_of(real).bincount(minlength=1600)
    p = callback.log_p.exp() * callback.cell
    assert (counts / 50_000 - p).abs().sum() < 0.05
    assert torch.equal(callback.cells_of(callback.places), torch.arange(1600))
    assert callback.cells_of(torch.tensor([[-99.0, -99.0], [99.0, 99.0]]).double()).tolist() == [0, 1599]


def test_training_is_the_same_to_the_bit(fit, tiny):
    config = affine(tiny)
    trained = []
    for callbacks in ([], [Theory(every_n_iterations=1, first=4, points=50, optimal_steps=3)]):
        gan = build_gan(config, Gaussian1D())
        fit(callbacks=callbacks, gan=gan)
        trained.append(torch.cat([p.detach().flatten() for p in gan.parameters()]))
    assert torch.equal(*trained)


@pytest.mark.parametrize(
    ("loss", "world", "range_of_d"),
    [(Hinge(), Gaussian1D(), None), (Hinge(), Ring8(), None), (NonSaturating(0.9), Ring8(), (0, 1))],
)
def test_another_loss_has_pictures_and_no_rows(fit, tiny, monkeypatch, loss, world, range_of_d):
    """Its best D is not p/(p + p_g): samples are drawn over D, or over logits where these are no log-odds."""
    drawn = []
    monkeypatch.setattr("ganduel.callback.theory.plot_line", lambda *args: drawn.append(args))
    monkeypatch.setattr("ganduel.callback.theory.plot_plane", lambda *args: drawn.append(args))
    monkeypatch.setattr("ganduel.callback.theory.animate", lambda *args: None)
    rows, gan = Rows(), build_gan(tiny(), world)
    gan.loss = loss
    fit(callbacks=[Theory(every_n_iterations=3, first=6, points=20)], loggers=[rows], gan=gan)
    assert rows.rows == []
    assert [name for _, name in rows.pictures] == ["theory_00000000.png", "theory_00000006.png"]
    log_odds = drawn[-1][-1]
    assert log_odds == loss.log_odds
    if world.shape == (1,):
        assert drawn[-1][6] is None  # no D* beside it
    elif range_of_d is None:
        assert drawn[-1][3].min() < 0
    else:
        assert 0 <= drawn[-1][3].min() <= drawn[-1][3].max() <= 1


def test_images_and_unknown_data_are_passed_over(fit):
    rows = Rows()
    fit(callbacks=[Theory(every_n_iterations=1)], loggers=[rows])
    assert rows.rows == []


@pytest.mark.parametrize(
    "bad", [{"every_n_iterations": 0}, {"first": 0}, {"growth": 1.0}, {"samples": 0}, {"optimal_steps": -1}]
)
def test_bad_knobs(bad):
    with pytest.raises(UserError, match=r"callback\.theory: .* must be"):
        Theory(**{"every_n_iterations": 1, **bad})


@pytest.mark.slow
def test_theorem_comes_true(compose, tmp_path):
    """Of `experiment=theory_gaussian1d`, whole: D to within 0.02 of D*, L_D to within 0.01, V to −log 4."""
    import json

    from ganduel.run import run

    values = compose("experiment=theory_gaussian1d", "tracking=none", "trainer.accelerator=cpu")
    values["run"] = {"choices": {"loss": "nonsaturating"}}
    run.fit(values, tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    probes = [row for row in rows if "theory/optimal_d_gap" in row]
    assert len(probes) >= 5
    assert max(row["theory/optimal_d_gap"] for row in probes) < 0.02
    assert max(row["theory/optimal_loss_gap"] for row in probes) < 0.01
    assert probes[0]["theory/jsd"] > 0.1
    assert probes[-1]["theory/value"] == pytest.approx(-math.log(4), abs=0.01)
    assert probes[-1]["theory/jsd"] < 0.005
    assert all(row["theory/jsd_gap"] > -1e-9 for row in rows if "theory/jsd_gap" in row)
