"""The benchmark's contenders do the work that they are timed for, and its file has what it promises."""

import json
import logging
import sys
import types
from collections.abc import Iterator

import pytest
import torch
from script_modules import imported
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.flop_counter import FlopCounterMode

from ganduel.batch import Batch, Batches
from ganduel.data.base import normalise
from ganduel.data.mnist import MNIST
from ganduel.gan import GAN

NAMES = ["ours", "ours_bf16", "hand_tuned", "matmuls", "pytorch_gan", "lightning_tutorial"]
ON_GPU = [f"ours{part}" for part in ("", "_tf32", "_bf16", "_eager", "_eager_bf16", "_compile", "_compile_bf16")]
CONVOLUTIONAL = ["ours", "ours_bf16", "hand_tuned", "hand_channels_last", "pytorch_gan"]
WARMUP, ITERATIONS = 1, 2

pytestmark = pytest.mark.filterwarnings("ignore")  # the tutorial's Trainer is left as it comes, and warns


@pytest.fixture(scope="module")
def benchmark() -> Iterator[types.ModuleType]:
    with imported("benchmark") as module:
        yield module


@pytest.fixture(scope="module")
def loops(benchmark) -> types.ModuleType:
    return sys.modules["step_loops"]


@pytest.fixture(scope="module")
def work(benchmark):
    benchmark.run.quiet()
    return benchmark.Work(MNIST(), batch_size=8, warmup=WARMUP, iterations=ITERATIONS)


@pytest.fixture
def updates() -> Iterator[list[list[nn.Parameter]]]:
    """The parameters of every optimizer step taken, in order."""
    taken: list[list[nn.Parameter]] = []

    def note(optimizer: Optimizer, *_) -> None:
        taken.append([p for group in optimizer.param_groups for p in group["params"]])

    handle = register_optimizer_step_post_hook(note)
    yield taken
    handle.remove()


def same(a: list[nn.Parameter], b: list[nn.Parameter]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def test_contenders_are_those_that_are_announced(benchmark):
    assert list(benchmark.contenders("cpu")) == NAMES
    assert list(benchmark.contenders("cuda")) == [*ON_GPU, "hand_tuned", "hand_graph", *NAMES[3:]]
    assert list(benchmark.contenders("cpu", "dcgan")) == CONVOLUTIONAL


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "matmuls"])
def test_contender_trains_the_common_networks(benchmark, work, updates, name):
    """The widths of G and D are the announced ones, all weights move, and each network is updated once per iteration.

    A Trainer does one iteration more than is timed.
    """
    generator, discriminator = work.networks()
    with benchmark.silence():
        block = benchmark.contenders("cpu")[name](work)
    assert block.seconds > 0
    widths = [[m.in_features, m.out_features] for m in block.generator.modules() if isinstance(m, nn.Linear)]
    assert widths == [[100, 128], [128, 256], [256, 512], [512, 1024], [1024, 784]]
    assert sum(isinstance(m, nn.BatchNorm1d) for m in block.generator.modules()) == 4
    widths = [[m.in_features, m.out_features] for m in block.discriminator.modules() if isinstance(m, nn.Linear)]
    assert widths == [[784, 512], [512, 256], [256, 1]]
    for before, after in ((generator, block.generator), (discriminator, block.discriminator)):
        states = zip(before.state_dict().values(), after.state_dict().values(), strict=True)
        assert all(not torch.equal(a, b) and b.isfinite().all() for a, b in states)
        assert before.state_dict().keys() == after.state_dict().keys()

    of_d, of_g = list(block.discriminator.parameters()), list(block.generator.parameters())
    order = ["d" if same(taken, of_d) else "g" if same(taken, of_g) else "?" for taken in updates]
    first = "gd" if name in ("pytorch_gan", "lightning_tutorial") else "dg"
    assert "".join(order) == first * (len(order) // 2)
    assert len(order) // 2 - WARMUP - ITERATIONS == (name in (*NAMES[:2], "lightning_tutorial"))


@pytest.fixture(scope="module")
def convolutional(benchmark, loops):
    """The words of --network NAME, at a width that is fast."""

    def work(name):
        narrow = [f"model.{network}.width=2" for network in ("generator", "discriminator")]
        return benchmark.Work(MNIST(), 8, WARMUP, ITERATIONS, settings=[*loops.NETWORKS[name][0], *narrow])

    return work


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_contender_trains_the_convolutional_networks(benchmark, convolutional, updates, name):
    """All weights of both move, in each contender from the same initial ones."""
    work = convolutional("dcgan")
    networks = work.networks()
    with benchmark.silence():
        block = benchmark.contenders("cpu", "dcgan")[name](work)
    assert block.seconds > 0
    layouts = set[bool]()
    for before, after in zip(networks, (block.generator, block.discriminator), strict=True):
        pairs = [(before.get_parameter(key), p) for key, p in after.named_parameters()]
        assert all(not torch.equal(a, b) and b.isfinite().all() for a, b in pairs)
        assert all((a - b).abs().max() < 1e-2 for a, b in pairs)  # a few steps of Adam at 2e-4 from it
        assert sum(isinstance(m, nn.BatchNorm2d) for m in after.modules()) == (3 if after is block.generator else 2)
        layouts |= {p.is_contiguous() for _, p in pairs if p.ndim == 4 and min(p.shape[:2]) > 1}
    assert layouts == {name != "hand_channels_last"}
    order = "".join("d" if same(taken, list(block.discriminator.parameters())) else "g" for taken in updates)
    assert order == ("gd" if name == "pytorch_gan" else "dg") * (len(order) // 2)


@pytest.mark.parametrize(
    "name", ["dcgan", *(pytest.param(f"dcgan_{norm}", marks=pytest.mark.slow) for norm in ("none", "spectral"))]
)
def test_the_hand_tuned_loop_takes_the_steps_of_ours(loops, convolutional, monkeypatch, name):
    """On the same data and noise it changes the weights in the same way, up to rounding.

    With a BatchNorm D sees real and generated samples apart in both, and else together.
    """
    work, batches, call = convolutional(name), list[Batch](), Batches.__call__

    def recorded(self: Batches, t: int) -> Batch:
        batches.append(call(self, t))
        return batches[-1]

    monkeypatch.setattr(Batches, "__call__", recorded)
    ours, hand = loops.ours(work), loops.HandWritten(work)
    noise = iter([minibatch.noise for batch in batches for minibatch in (*batch.discriminator, batch.generator)])
    monkeypatch.setattr(hand, "noise", lambda: next(noise))
    hand.images = torch.cat([batch.discriminator[0].real for batch in batches])
    for rows in torch.arange(len(hand.images)).split(8):
        hand.iterate(rows)
    for i, network in enumerate(("generator", "discriminator")):
        nets = (work.networks()[i], getattr(ours, network), getattr(hand, network))
        start, weights, expected = (nn.utils.parameters_to_vector(net.parameters()) for net in nets)
        assert (expected - start).norm() > 0
        assert (weights - expected).norm() < 1e-3 * (expected - start).norm()


def test_matmuls_are_the_arithmetic_of_the_hand_tuned_loop(loops, work):
    """Torch's own counter sees as many operations in the one as in the other, in all iterations."""
    counts = []
    for loop in (loops.matmuls, loops.hand_tuned):
        with FlopCounterMode(display=False) as counter:
            loop(work)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_digits_come_out_as_the_normalised_images(benchmark, work):
    digits = sys.modules["published_loops"].Digits(work.data)
    pixels, label = digits[17]
    torch.testing.assert_close(pixels, normalise(work.data.images("train+validation")[17]))
    assert label == work.data.labels("train+validation")[17]


def test_clock_times_what_follows_the_warmup(loops, work, monkeypatch):
    """Of readings 10 and 16, at the begin and at the end of the timed iterations, 6 seconds remain."""
    readings = iter([10.0, 16.0])
    monkeypatch.setattr(loops, "perf_counter", lambda: next(readings))
    clock = loops.Clock(work)
    assert [clock.done() for _ in range(WARMUP + ITERATIONS + 1)] == [False] * (WARMUP + ITERATIONS) + [True]
    assert clock.seconds == 6


@pytest.mark.slow
def test_file_holds_every_contender_at_every_batch_size(benchmark, tmp_path, capsys):
    path = tmp_path / "deep" / "speed.json"
    benchmark.main(["--tiny", "--batch", "4", "8", "--out", str(path)])
    results = json.loads(path.read_text(encoding="utf-8"))
    assert list(results["step"]) == ["4", "8"]
    for batch_size, step in results["step"].items():
        assert list(step) == NAMES
        assert all(milliseconds > 0 for milliseconds in step.values())
        assert results["rounds"][batch_size]["ours"] == [step["ours"]]
        assert results["ratio"][batch_size]["ours"]["pytorch_gan"] == step["ours"] / step["pytorch_gan"]
    assert results["machine"]["threads"] >= 1
    assert results["versions"]["torch"]
    assert "3 iterations" in results["method"]
    assert "batch 8" in capsys.readouterr().out


def test_ratio_is_the_median_of_the_ratios_within_a_round(benchmark):
    """A machine that is four times as slow in one round changes no ratio: 2, 2 and 3 have the median 2."""
    times = {"ours": [2.0, 8.0, 3.0], "hand_tuned": [1.0, 4.0, 1.0]}
    assert benchmark.ratio(times, "ours", "hand_tuned") == 2


@pytest.mark.slow
def test_a_population_is_timed_against_one_of_its_members(benchmark, capsys):
    results = benchmark.main(["--tiny", "--batch", "--population", "ring8:3"])
    assert results["step"] == {}
    (name, values), *none = results["population"].items()
    assert (name, none, values["members"]) == ("ring8, 3 members", [], 3)
    rounds = {name: value for name, (value,) in values["rounds"].items()}
    assert list(rounds) == ["together", "alone"]
    together, alone = rounds["together"], rounds["alone"]
    assert rounds == {name: values[name] for name in rounds}
    assert values["ratio"] == pytest.approx(3 * alone / together)
    assert min(rounds.values()) > 0
    assert "ring8, 3 members" in capsys.readouterr().out


@pytest.mark.slow
def test_a_population_in_processes_is_timed_while_all_are_at_work(benchmark, monkeypatch):
    """In the middle third of what each does."""
    loops, apart = sys.modules["population_loops"], []
    monkeypatch.setattr(loops, "number_of_processes", lambda wanted, *_: 2 if wanted == "auto" else wanted)
    start = loops.start
    monkeypatch.setattr(loops, "start", lambda part, *rest: apart.append(list(part)) or start(part, *rest))
    milliseconds = benchmark.Population("ring8", 3, warmup=4, iterations=4).together()
    assert milliseconds > 0
    assert [[spec.name for spec in part] for part in apart] == [["0"], ["1", "2"]]
    assert all(spec.values["trainer"]["max_steps"] == 8 + 4 + 4 for part in apart for spec in part)


@pytest.mark.parametrize("word", ["ring9:3", "ring8", "ring8:0", "ring8:x"])
def test_what_is_no_population_is_refused(benchmark, word, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["--tiny", "--batch", "--population", word])
    assert "such as ring8:32" in capsys.readouterr().err


def test_the_clock_of_a_population_is_that_of_the_records(benchmark, tmp_path):
    work = benchmark.Population("ring8", 1, warmup=10, iterations=20)
    lines = [{"iteration": n, "seconds": n**2 / 1000} for n in (1, 20, 40)]  # from the first row after the warm-up
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert work.milliseconds(tmp_path) == pytest.approx((1600 - 400) / 20)


def test_ours_runs_in_blocks_as_a_run_does(benchmark, loops, work, monkeypatch):
    """Timing adds no hook that would make each block one iteration."""
    blocks, step = [], GAN.training_step

    def training_step(gan, *args):
        outputs = step(gan, *args)
        blocks.append(len(gan.block_outputs))
        return outputs

    monkeypatch.setattr(GAN, "training_step", training_step)
    with benchmark.silence():
        loops.ours(work)
    assert sum(blocks) == WARMUP + ITERATIONS + 1 > len(blocks)


def test_engines_are_compared_with_eager(benchmark, monkeypatch, tmp_path):
    """Each in every round, by its word on the command line; here an iteration takes a millisecond per letter."""
    words = []

    def alone(population, more):
        words.append((population.task, *more))
        logging.getLogger("ganduel").info("%s: it rains; networks run as they are", more[0])
        return float(len(more[0].removeprefix("engine=")))

    monkeypatch.setattr(benchmark.Population, "alone", alone)
    results = benchmark.main(["--tiny", "--batch", "--engine", "compile", "--out", str(tmp_path / "engine.json")])
    assert words == [(task, f"engine={name}") for task in ("ring8", "mnist") for name in ("eager", "compile")]
    ratios = {"eager": 1.0, "compile": 7 / 5}
    expected = {"eager": 5.0, "compile": 7.0, "ratio": ratios, "rounds": {"eager": [5.0], "compile": [7.0]}}
    assert results["engine"] == {"ring8": expected, "mnist": expected}
    assert json.loads((tmp_path / "engine.json").read_text(encoding="utf-8"))["engine"] == results["engine"]
    lines = [f"engine={name}: it rains; networks run as they are" for name in ("eager", "compile")]
    assert results["fallbacks"] == lines


@pytest.mark.slow
def test_a_user_callback_is_timed_against_none(benchmark):
    """With its hook in each batch blocks are single iterations."""
    results = benchmark.main(["--tiny", "--batch", "--callback", "--task", "ring8"])
    assert list(results["engine"]["ring8"]["rounds"]) == ["eager", "eager_user_callback"]
    assert all(milliseconds > 0 for (milliseconds,) in results["engine"]["ring8"]["rounds"].values())


@pytest.mark.slow
def test_peak_memory_of_a_long_run_is_taken_twice(benchmark):
    memory = benchmark.main(["--tiny", "--batch", "--memory", "6"])["memory"]
    assert memory["iterations"] == {"early": 3, "end": 6}
    early, end = (memory["megabytes"][when]["process"] for when in ("early", "end"))
    assert 0 < early <= end
    assert memory["growth"]["process"] == end - early
