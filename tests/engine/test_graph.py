"""The updates as a graph are the updates: on tape on the CPU (tests/tape.py) and, where there is one, on a GPU."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small import SMALL, mostly_slow
from states import same
from tape import NoReads, TapeRecorder
from torch.testing import assert_close

from ganduel import algorithm
from ganduel.checkpoint import LAST, read
from ganduel.engine import graph
from ganduel.gan import GAN
from ganduel.tracking.files import METRICS, rows

CLOCK = {"seconds", "speed/images_per_second"}
SETTINGS = {
    "plain": (),
    "k=2, clipped": ("k=2", "clip.discriminator=0.1", "clip.generator=0.1"),
    "penalised": ("penalty=r1",),
    "saturating, sgd": ("loss=saturating", "optimizer=sgd"),
    "linear schedule": ("schedule=linear",),
    "batch norm": ("model.generator.norm=batch", "model.discriminator.norm=batch"),
    "spectral norm": ("model.discriminator.norm=spectral",),
    "bf16": ("trainer.precision=bf16-mixed",),
    "no average": ("ema=null",),
    "points": ("data=ring8",),
}


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> list[TapeRecorder]:
    """Runs on the CPU are graphed on tape; the recorders of all that have begun."""
    made: list[TapeRecorder] = []

    class Kept(TapeRecorder):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(GAN, "recorder", Kept)
    monkeypatch.setattr(algorithm, "recording", lambda: True)  # the order in which a graph has them
    return made


def lines(folder: Path) -> list[str]:
    """What the program says of graphs."""
    return [
        line.partition("ganduel: ")[2] for line in (folder / "train.log").read_text().splitlines() if "graph" in line
    ]


def row_of(row: dict) -> dict:
    return {key: value for key, value in row.items() if key not in CLOCK}


@pytest.mark.usefixtures("untyped")
@pytest.mark.slow
@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_a_graph_changes_no_bit(command: Callable, tapes: list[TapeRecorder], tmp_path: Path, words: tuple[str, ...]):
    """Rows, weights, averages, optimizers and schedules; a rate that changes is in float32. It may go on without."""
    run = (*SMALL, *words, "tracking=none", "callback=[statistics,saturation]", "log_every=3", "checkpoint_every=5")
    run = (*run, "callback.saturation.gradient_every=2")
    for name in ("graph", "plain"):
        extra = ("trainer.cuda_graph=true",) if name == "graph" else ()
        assert command(*run, *extra, "trainer.max_steps=12", f"hydra.run.dir={name}").code == 0
        assert command(f"resume={name}", "trainer.cuda_graph=false", "trainer.max_steps=14").code == 0
    (tape,) = tapes
    assert (tape.warm_ups, tape.launches) == (3 + 1, 9 + 4)  # of updates, and of both forms' gradients from the 4th on
    assert lines(tmp_path / "graph") == []
    first, second = ([row_of(row) for row in rows(tmp_path / name / METRICS)] for name in ("graph", "plain"))
    graphed, plain = (read(tmp_path / name / "checkpoints" / LAST) for name in ("graph", "plain"))
    assert same(graphed["lr_schedulers"], plain["lr_schedulers"])
    assert same(graphed["loops"], plain["loops"])
    if "schedule=linear" in words:
        assert_close(graphed["state_dict"], plain["state_dict"], rtol=1e-5, atol=1e-6)
        assert first == [pytest.approx(row, rel=1e-4, abs=1e-6) for row in second]
    else:
        assert same(graphed["state_dict"], plain["state_dict"])
        assert same(graphed["optimizer_states"], plain["optimizer_states"])
        assert first == second


@pytest.mark.slow
@pytest.mark.usefixtures("untyped")
def test_a_graph_that_goes_on_from_a_checkpoint_changes_no_bit(command: Callable, tapes, tmp_path: Path):
    run = (*SMALL, "k=2", "tracking=none", "callback=[statistics]")
    assert command(*run, "trainer.max_steps=5", "hydra.run.dir=graph").code == 0
    assert command("resume=graph", "trainer.cuda_graph=true", "trainer.max_steps=12").code == 0
    assert command(*run, "trainer.max_steps=5", "hydra.run.dir=plain").code == 0
    assert command("resume=plain", "trainer.max_steps=12").code == 0
    assert tapes[0].launches == 4
    graphed, plain = (read(tmp_path / name / "checkpoints" / LAST) for name in ("graph", "plain"))
    for key in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert same(graphed[key], plain[key]), key


MOMENTUM = ("schedule=goodfellow2014", "schedule.discriminator.start=6", "schedule.generator.start=6")
UNFIT = {
    "dropout": (
        ("model.discriminator.dropout=0.5",),
        "discriminator.net.3 draws from the iteration's number",
    ),
    "an optimizer that counts on the host": (
        ("optimizer=sgd", "optimizer.generator._target_=torch.optim.Adagrad", "~optimizer.generator.momentum"),
        "Adagrad has no capturable form",
    ),
    "an optimizer that could count on the device": (
        ("optimizer.generator.fused=false",),
        "Adam counts its steps on the host unless capturable=true",
    ),
    "a schedule of the momentum": (
        ("optimizer=sgd", "+optimizer.discriminator.fused=true", "+optimizer.generator.fused=true", *MOMENTUM),
        "momentum changes from iteration to iteration",
    ),
    "a rate on the host": (
        ("optimizer=sgd", "schedule=linear"),
        "SGD takes a schedule's rate from the host unless fused=true",
    ),
    "a network that reads a value": (
        ("model.discriminator._target_=tape.Reading",),
        "aten::_local_scalar_dense: operation not permitted when stream is capturing",
    ),
}


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("case", mostly_slow(UNFIT, "a schedule of the momentum"))
def test_what_cannot_be_in_a_graph_is_said_in_a_line_and_trained_without(
    command: Callable, tapes, tmp_path: Path, case: tuple[tuple[str, ...], str]
):
    words, reason = case
    run = (*SMALL, *words, "tracking=none", "callback=[statistics]", "log_every=1", "trainer.max_steps=10")
    assert command(*run, "trainer.cuda_graph=true", "hydra.run.dir=graph").code == 0
    assert command(*run, "hydra.run.dir=plain").code == 0
    assert lines(tmp_path / "graph") == [f"trainer.cuda_graph: {reason}; iterations are launched kernel by kernel"]
    first, second = (read(tmp_path / name / "checkpoints" / LAST) for name in ("graph", "plain"))
    assert same(first["state_dict"], second["state_dict"])


MEMBERS = {
    "seeds": ("population.seeds=3",),
    "blocks": ("population.seeds=2", "population.over={loss: [saturating, nonsaturating]}", "schedule=linear"),
    "batch norm": ("population.seeds=2", "model.generator.norm=batch", "k=2"),
}


@pytest.mark.usefixtures("untyped")
@pytest.mark.slow
@pytest.mark.parametrize("words", MEMBERS.values(), ids=MEMBERS)
def test_members_are_graphed_together(command: Callable, tapes: list[TapeRecorder], tmp_path: Path, words):
    run = (
        *SMALL,
        *words,
        "data=ring8",
        "tracking=none",
        "callback=[statistics,saturation]",
        "callback.saturation.gradient_every=2",
        "log_every=3",
        "trainer.max_steps=12",
    )
    assert command(*run, "trainer.cuda_graph=true", "hydra.run.dir=graph").code == 0
    assert command(*run, "hydra.run.dir=plain").code == 0
    (tape,) = tapes
    assert (tape.warm_ups, tape.launches) == (3 + 1, 9 + 4)
    folders = sorted(path.parent.name for path in tmp_path.glob("graph/*/metrics.jsonl"))
    assert len(folders) in (2, 3, 4)  # by the words
    for name in folders:
        first, second = ([row_of(row) for row in rows(tmp_path / kind / name / METRICS)] for kind in ("graph", "plain"))
        assert first == [pytest.approx(row, rel=1e-4, abs=1e-6) for row in second]
        graphed, plain = (read(tmp_path / kind / name / "checkpoints" / LAST) for kind in ("graph", "plain"))
        assert_close(graphed["state_dict"], plain["state_dict"], rtol=1e-5, atol=1e-6)
        assert "schedule=linear" in words or same(graphed["optimizer_states"], plain["optimizer_states"])


@pytest.mark.usefixtures("untyped")
def test_without_a_gpu_a_line_says_so(command: Callable, tmp_path: Path):
    run = (*SMALL, "tracking=none", "callback=[statistics]", "trainer.max_steps=2")
    assert command(*run, "trainer.cuda_graph=true", "hydra.run.dir=run").code == 0
    assert lines(tmp_path / "run") == [
        "trainer.cuda_graph: it needs a CUDA device, and this run is on cpu; iterations are launched kernel by kernel"
    ]


def test_scalars_of_past_iterations_stay():
    """The check for NaN looks at them many iterations later."""
    total = torch.zeros(())
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    updates = graph.GraphedUpdates(
        lambda noise, reals: {"loss/d": total.add_(noise.sum()).clone(), "logit/real": reals[0] * 2},
        0,
        [optimizer],
        [],
        TapeRecorder(),
    )
    kept = [updates(torch.ones(2), [torch.full((3,), float(i))]) for i in range(8)]
    assert [float(outputs["loss/d"]) for outputs in kept] == [2.0 * i for i in range(1, 9)]
    assert kept[-1]["logit/real"].tolist() == [14.0] * 3


def doubled(x: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    return 2 * network(x)


def read_back(x: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
    return x * x.sum().item()


@pytest.mark.parametrize(("function", "launches"), [(doubled, 3), (read_back, 0)])
def test_a_function_alongside_is_recorded_if_it_can_be(function: Callable, launches: int):
    """As it is the first time, and always where there is no graph; its values stay when it is called again."""
    net, tape = torch.nn.Linear(2, 2), TapeRecorder()
    optimizer = torch.optim.Adam(net.parameters())
    updates = graph.GraphedUpdates(lambda noise, reals: {"loss/d": noise.sum()}, 0, [optimizer], [], tape)
    inputs = [torch.full((3, 2), float(i)) for i in range(5)]
    with torch.no_grad():
        assert torch.equal(updates.alongside(function, inputs[1], net), function(inputs[1], net))
        assert (tape.warm_ups, tape.launches) == (0, 0)
        for _ in range(5):
            updates(torch.ones(2), [])
        before = tape.launches
        found = [updates.alongside(function, x, net) for x in inputs[:4]]
        assert [torch.equal(y, function(x, net)) for x, y in zip(inputs, found, strict=False)] == [True] * 4
        assert tape.launches - before == launches
        updates.give_up("of this test")
        assert torch.equal(updates.alongside(function, inputs[4], net), function(inputs[4], net))
        assert tape.launches - before == launches


@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_an_iteration_reads_nothing_back(fit: Callable, tiny, images, words: tuple[str, ...]):
    """Nowhere in an iteration does the host wait for the device: on a GPU, Python runs ahead of it."""
    from ganduel.build import build, build_gan

    config = tiny(*words)
    gan = build_gan(config, build(config["data"]) if "data=ring8" in words else images)
    iterate, watched = gan.iterate, []

    def watching(t: int) -> dict[str, torch.Tensor]:
        with NoReads() as kernels:
            outputs = iterate(t)
        watched.append(kernels.names)
        return outputs

    gan.iterate = watching
    fit(*words, gan=gan)
    assert len(watched) == 6
    assert all(len(names) > 50 for names in watched)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_on_a_gpu_the_host_never_waits_between_rows(command: Callable, monkeypatch, words: tuple[str, ...]):
    advance = GAN.advance

    def strict(gan: GAN) -> dict[str, torch.Tensor]:
        torch.cuda.set_sync_debug_mode("error" if gan.global_step > 3 else "default")
        try:
            return advance(gan)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(GAN, "advance", strict)
    words = (
        *SMALL,
        *words,
        "trainer.accelerator=gpu",
        "tracking=none",
        "trainer.max_steps=30",
        "callback=[statistics]",
    )
    assert command(*words).code == 0
    assert command(*words, "trainer.cuda_graph=true", "hydra.run.dir=graph").code == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("words", SETTINGS.values(), ids=SETTINGS)
def test_on_a_gpu_a_graph_follows_the_run_without(command: Callable, tmp_path: Path, words: tuple[str, ...]):
    run = (*SMALL, *words, "trainer.accelerator=gpu", "tracking=none", "callback=[statistics]", "trainer.max_steps=50")
    assert command(*run, "trainer.cuda_graph=true", "hydra.run.dir=graph").code == 0
    assert command(*run, "hydra.run.dir=plain").code == 0
    assert lines(tmp_path / "graph") == []
    ends = [json.loads((tmp_path / name / "summary.json").read_text())["metrics"] for name in ("graph", "plain")]
    for key in ends[0].keys() - CLOCK:
        assert ends[0][key] == pytest.approx(ends[1][key], rel=1e-2, abs=1e-3), key


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("extra", [(), ("population.seeds=2",)], ids=["alone", "together"])
def test_on_a_gpu_a_run_goes_on_from_its_checkpoint_as_if_it_had_never_stopped(command: Callable, tmp_path, extra):
    run = (*SMALL, *extra, "data=ring8", "trainer.accelerator=gpu", "tracking=none", "callback=[statistics]")
    assert command(*run, "checkpoint_every=7", "trainer.max_steps=40", "hydra.run.dir=whole").code == 0
    assert command(*run, "checkpoint_every=7", "trainer.max_steps=20", "hydra.run.dir=parts").code == 0
    assert command("resume=parts", "trainer.max_steps=40").code == 0
    whole, parts = (sorted((tmp_path / name).rglob(LAST)) for name in ("whole", "parts"))
    assert len(whole) == len(parts) == (2 if extra else 1)
    for first, second in zip(whole, parts, strict=True):
        assert_close(read(first)["state_dict"], read(second)["state_dict"], rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("words", MEMBERS.values(), ids=MEMBERS)
def test_on_a_gpu_members_with_a_graph_follow_those_without(command: Callable, tmp_path: Path, words: tuple[str, ...]):
    run = (*SMALL, *words, "data=ring8", "trainer.accelerator=gpu", "tracking=none", "callback=[statistics]")
    assert command(*run, "trainer.max_steps=50", "trainer.cuda_graph=true", "hydra.run.dir=graph").code == 0
    assert command(*run, "trainer.max_steps=50", "hydra.run.dir=plain").code == 0
    names = sorted(path.parent.name for path in tmp_path.glob("graph/*/summary.json"))
    assert len(names) > 1
    for name in names:
        ends = [json.loads((tmp_path / kind / name / "summary.json").read_text()) for kind in ("graph", "plain")]
        for key in ends[0]["metrics"].keys() - CLOCK:
            assert ends[0]["metrics"][key] == pytest.approx(ends[1]["metrics"][key], rel=1e-2, abs=1e-3), key
