"""What a signature of the zoo promises its members, seen from a toy: what it is given, when, and what is made of it."""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor
from torch.nn.functional import softplus
from toy_runs import CASES, R1, R2, WORDS, discriminator, labelled, loss, rows, timeless, train
from toys import AdaptiveNoise

from ganduel.compare.command import compare
from ganduel.factory.gan import build_gan
from ganduel.factory.part import build
from ganduel.gan import GAN
from ganduel.penalty.path_length import PathLength
from ganduel.rng import Draws
from ganduel.run import run
from ganduel.tracking.files import HISTOGRAMS, LOSS_FORM

SHORT = (*WORDS, "trainer.max_steps=4", "k=1", "callback=[statistics]", "~callback.saturation", "log_every=1")


@pytest.fixture
def values(tiny: Callable[..., dict]) -> Callable[..., dict[str, Any]]:
    """A function from what a toy adds to the config of a short run of it, and other words."""
    words = [word for word in SHORT if "saturation" not in word]
    return lambda parts, *more: tiny(*words, *more) | parts


@pytest.fixture
def trained(
    values: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict, Callable[[GAN], Any]], GAN]:
    """A function that trains a GAN of toys which a test has a hand in first, and returns it."""

    def fit(parts: dict, prepare: Callable[[GAN], Any], *words: str) -> GAN:
        gans = []

        def built(*arguments: Any) -> GAN:
            gans.append(build_gan(*arguments))
            prepare(gans[0])
            return gans[0]

        monkeypatch.setattr(run, "build_gan", built)
        train(tmp_path / "run", values(parts, *words))
        return gans[0]

    return fit


def test_networks_get_the_labels_of_their_samples(trained: Callable):
    """D those of the data with real samples; with generated ones those that G was given, and so in G's update."""
    seen: list[tuple[Tensor, Tensor]] = []
    given: list[Tensor] = []

    def watch(gan: GAN) -> None:
        gan.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs))
        gan.generator.register_forward_pre_hook(lambda _, inputs: given.append(inputs[1]))

    trained(labelled(), watch)
    assert len(seen) == len(given) == 8
    for (x, y), of_fakes in zip(seen, given, strict=True):
        assert torch.equal(y[-8:], of_fakes)
        if len(x) == 16:
            angles = torch.atan2(x[:8, 1], x[:8, 0]) / (2 * torch.pi / 3)
            assert torch.equal(angles.round().long() % 3, y[:8])
    assert {len(x) for x, _ in seen} == {16, 8}
    assert torch.cat(given).unique().tolist() == [0, 1, 2]


def test_several_penalties_add_up(values: Callable, tmp_path: Path):
    """In the first iteration, at the same weights."""

    def first(name: str, penalty: dict) -> float:
        train(tmp_path / name, values({"penalty": penalty}, "trainer.max_steps=1"))
        return rows(tmp_path / name / "metrics.jsonl")[0]["loss/penalty_d"]

    r1, r2 = {"r1": R1}, {"r2": R2}
    assert first("both", r1 | r2) == pytest.approx(first("r1", r1) + first("r2", r2), rel=1e-12)


def test_a_lazy_penalty_is_algorithm_1_written_out(values: Callable, tmp_path: Path):
    """Due in iterations 0 and 4 of 6, with four times the weight; rows show 0 in the others."""
    gamma = R1["gamma"]
    config = values(CASES["every 4"], "optimizer=sgd", "trainer.max_steps=6", "ema=null", "trainer.precision=32-true")
    state = train(tmp_path / "run", config)["state_dict"]
    gan = build_gan(config, build(config["data"]))
    d, g, batches = gan.discriminator, gan.generator, gan.batches
    opt_d, opt_g = (torch.optim.SGD(net.parameters(), 0.1, momentum=0.5) for net in (d, g))
    penalties = []
    for t in range(6):
        batch = batches(t)
        b, z = batch.discriminator[0], batch.generator.noise
        real, fake = b.real.requires_grad_(), g(b.noise).detach()
        loss, penalty = softplus(-d(real)).mean() + softplus(d(fake)).mean(), torch.zeros(())
        if t in (0, 4):
            (slope,) = torch.autograd.grad(d(real).sum(), real, create_graph=True)
            penalty = 4 * gamma / 2 * slope.square().sum(1).mean()
        penalties.append(penalty.item())
        opt_d.zero_grad()
        (loss + penalty).backward()
        opt_d.step()
        opt_g.zero_grad()
        softplus(-d(g(z))).mean().backward()
        opt_g.step()
    for name, weight in gan.state_dict().items():
        torch.testing.assert_close(state[name], weight, rtol=1e-5, atol=1e-6)
    shown = [row["loss/penalty_d"] for row in rows(tmp_path / "run" / "metrics.jsonl")]
    assert shown == pytest.approx(penalties, rel=1e-5)
    assert [penalty > 0 for penalty in shown] == [True, False, False, False, True, False]


def test_a_penalty_draws_anew_in_each_iteration(trained: Callable, monkeypatch: pytest.MonkeyPatch):
    drawn, uniform = [], Draws.uniform
    monkeypatch.setattr(Draws, "uniform", lambda draws, x: drawn.append(uniform(draws, x)) or drawn[-1])

    trained(CASES["penalty that draws"], lambda gan: None)
    assert [alpha.shape for alpha in drawn] == [(8,)] * 4
    assert len({tuple(alpha.tolist()) for alpha in drawn}) == 4


def test_a_penalty_of_g_sees_g_and_keeps_an_average(trained: Callable):
    gan = trained(CASES["penalty of G with a buffer"], lambda gan: None)
    (penalty,) = gan.penalties_g.values()
    assert isinstance(penalty, PathLength)
    assert penalty.average > 0
    assert all(p.grad is not None for p in gan.generator.parameters())


def test_d_sees_everything_through_the_augmentation_and_g_learns_through_it(trained: Callable):
    """16 samples in D's update and 8 in G's; the gradient for a fake has the augmentation's factor."""
    sizes, factors = [], []

    def watch(gan: GAN) -> None:
        def hook(module: Any, inputs: Any, output: Tensor) -> None:
            sizes.append(len(output))
            if len(output) == 8:
                (slope,) = torch.autograd.grad(output.sum(), inputs[0], retain_graph=True)
                torch.testing.assert_close(slope * inputs[0], output)
                factors.append(slope)

        gan.augment.register_forward_hook(hook)

    gan = trained(CASES["augmentation with state"], watch)
    assert isinstance(gan.augment, AdaptiveNoise)
    assert sizes == [16, 8] * 4
    assert 0.2 < torch.cat(factors).ne(1).float().mean() < 0.8  # p is about a half
    assert gan.augment.p != 0.5


@pytest.mark.parametrize(
    ("name", "mixes"),
    [("MinibatchStd", True), ("FunctionalBatchNorm", True), ("StatedMinibatchStd", False), ("Features", False)],
)
def test_a_d_that_mixes_samples_is_found_out_and_sees_real_and_fake_apart(trained: Callable, name: str, mixes: bool):
    """Then its update and G's see batches of one size; a D that states something is believed."""
    sizes = []
    gan = trained(
        discriminator(name),
        lambda gan: gan.discriminator.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0]))),
    )
    assert gan.mixes_samples is mixes
    assert sizes == ([8, 8, 8] if mixes else [16, 8]) * 4


def test_a_conditional_d_that_mixes_samples_is_tried_out_with_labels(values: Callable):
    config = values(labelled())
    assert not build_gan(config, build(config["data"])).mixes_samples


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_penalties_get_samples_of_the_type_of_the_weights(trained: Callable, precision: str):
    """Real and generated ones alike; float32 where only products are rounded."""
    types = []

    def watch(gan: GAN) -> None:
        for penalty in (*gan.penalties_d.values(), *gan.penalties_g.values()):
            penalty.register_forward_pre_hook(lambda _, inputs: types.append((inputs[1].real.dtype, inputs[2].dtype)))

    trained(CASES["R1 and R2"], watch, f"trainer.precision={precision}")
    expected = torch.float32 if precision == "bf16-mixed" else torch.bfloat16
    assert types == [(expected, expected)] * 8


WATCHED, DEFAULT = "callback=[statistics,saturation]", "callback=[statistics,saturation,sample_grid,evaluate]"


@pytest.mark.parametrize(("name", "accuracy"), [("hinge.Hinge", True), ("relativistic.Relativistic", False)])
def test_a_loss_says_what_its_logits_mean(values: Callable, tmp_path: Path, name: str, accuracy: bool):
    """No D(x) where a logit is no log-odds, an accuracy where there is a threshold; of saturation its own slope."""
    train(tmp_path / "run", values({"loss": loss(name)}, WATCHED, "callback.saturation.gradient_every_n_iterations=1"))
    keys = {key for row in timeless(tmp_path / "run") for key in row}
    assert {"logit/real", "logit/real_std", "logit/fake", "logit/fake_g", "loss/d", "loss/g"} <= keys
    assert {"d/real", "d/fake", "d/fake_g", "d/real_std"}.isdisjoint(keys)
    assert ("d/accuracy_real" in keys) == accuracy
    assert [key for key in keys if key.startswith("saturation")] == ["saturation/slope"] * accuracy
    assert (tmp_path / "run" / LOSS_FORM).exists() == accuracy  # each sample has a term of its own
    assert all({"logit/real", "logit/fake"} <= row.keys() for row in rows(tmp_path / "run" / HISTOGRAMS))


@pytest.mark.usefixtures("untyped")
def test_runs_of_such_losses_are_compared(values: Callable, tmp_path: Path):
    for name in ("hinge.Hinge", "wasserstein.Wasserstein"):
        for seed in (0, 1):
            folder = tmp_path / f"{name}{seed}"
            train(folder, values({"loss": loss(name), **labelled()}, DEFAULT, "metric=[frechet]",
                                 "metric.frechet.samples=24"), seed=seed)  # fmt: skip
    console = Console(file=StringIO(), width=300)
    compare([str(tmp_path)], as_json_text=True, console=console)
    found = json.loads(console.file.getvalue())  # type: ignore[attr-defined]
    assert (found["factor"], found["levels"]) == ("loss", ["hinge", "wasserstein"])
    assert [len(cell["runs"]) for cell in found["cells"]] == [2, 2]
    compare([str(tmp_path)], out=tmp_path / "page.html", console=console)
    assert (tmp_path / "page.html").stat().st_size > 0


def test_labelled_images_are_shown_class_by_class(values: Callable, tmp_path: Path):
    train(tmp_path / "run", values(labelled("LabelledImages"), DEFAULT, "callback.sample_grid.n=4"))
    assert {path.name for path in (tmp_path / "run" / "samples").iterdir()} >= {
        "real.png", "iteration_00000000.png", "iteration_00000004.png", "progress.gif"}  # fmt: skip
