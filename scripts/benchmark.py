"""What an iteration costs here, against three other training loops with the same networks, data and batch.

    python scripts/benchmark.py --rounds 3 --out benchmarks/step_cpu.json   batches 64 and 256; ten minutes on two cores

    ours                the GAN module in the Trainer that run.py builds, with everything a run does but W&B: its
                        record, statistics, grids, checkpoints, the average of G, the check for NaN, signals
    ours_bf16           the same with trainer.precision=bf16-mixed
    hand_tuned          a plain loop with nothing but the two updates: data in memory as floats, one pass of D over
                        both minibatches, fused Adam, no D gradient in G's update, no logging
    pytorch_gan         a loop as in PyTorch-GAN's gan.py (E. Linder-Norén), the one most often copied
    lightning_tutorial  a module as in Lightning's GAN tutorial, without its pictures

One iteration is one update of D and one of G. All take the networks from the same builders and start every block
afresh. A block is a number of warm-up iterations and then the timed ones; building, compiling and the start of a
Trainer are not timed. In each round every contender does one block, in an order that rotates and turns round, so that
a machine that slows down slows all; what is reported is the median over the rounds, of times and of ratios within a
round.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import hydra
import lightning.pytorch as lightning
import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, softplus
from torch.optim import Adam
from torch.utils.data import DataLoader, Dataset

from ganduel import app, run
from ganduel.build import build_gan, build_networks
from ganduel.callback.stop import StopOnSignal
from ganduel.data.base import normalise
from ganduel.data.mnist import MNIST
from ganduel.provenance import provenance
from ganduel.tracking.record import Record

CONF = Path(__file__).resolve().parents[1] / "conf"
SETTINGS = [
    "model=mlp",
    "model.generator.noise_dim=100",
    "model.generator.hidden=[128,256,512,1024]",
    "model.generator.norm=batch",
    "model.discriminator.hidden=[512,256]",
    "loss=nonsaturating",
    "penalty=none",
    "data=mnist",
    "optimizer=adam",
    "optimizer.discriminator.lr=2e-4",
    "optimizer.generator.lr=2e-4",
    "schedule=constant",
    "trainer=default",
    "tracking=none",
]
CHOICES = dict(setting.split("=") for setting in SETTINGS if "." not in setting)
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}
NOISE_DIM = 100


@dataclass(frozen=True)
class Work:
    """What one block of a contender is to do."""

    data: MNIST
    batch_size: int
    warmup: int
    iterations: int
    device: str = "cpu"

    def config(self, folder: Path, precision: str = "32-true") -> dict[str, Any]:
        """The config of a run in the folder, as a command line would give it."""
        app.prepare()
        overrides = [
            *SETTINGS,
            f"batch_size={self.batch_size}",
            f"callback.sample_grid.first={max(1, self.warmup + self.iterations // 2)}",  # one grid a block
            "callback.sample_grid.growth=2.0",
            f"trainer.max_steps={self.warmup + self.iterations + 1}",
            f"trainer.accelerator={'cpu' if self.device == 'cpu' else 'gpu'}",
            f"trainer.precision={precision}",
        ]
        with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            return run.begin(hydra.compose("train", overrides), folder, CHOICES, overrides)

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """G and D with the initial weights of ours."""
        with temporary_folder() as folder:
            generator, discriminator = build_networks(self.config(folder), self.data.shape)
        return generator.to(self.device), discriminator.to(self.device)


@dataclass(frozen=True)
class Block:
    """What came of it: seconds for the timed iterations, and the networks as they are at the end."""

    seconds: float
    generator: nn.Module
    discriminator: nn.Module


class Clock(lightning.Callback):
    """Asked before every iteration, in a plain loop or by a Trainer, it times those after the warm-up.

    The last one timed is followed by one more, which only a Trainer begins: what a run does at its end stays out.
    """

    def __init__(self, work: Work):
        self.start, self.end = work.warmup, work.warmup + work.iterations
        self.device, self.n = work.device, 0

    def done(self) -> bool:
        """Whether all timed iterations are over."""
        if self.n in (self.start, self.end):
            if self.device != "cpu":
                torch.cuda.synchronize(self.device)
            now = perf_counter()
            if self.n == self.start:
                self.started = now
            else:
                self.seconds = now - self.started
        self.n += 1
        return self.n > self.end

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self.done():
            trainer.should_stop = True


def ours(work: Work, precision: str = "32-true") -> Block:
    """Our module and Trainer, put together as `run.fit` does it."""
    with temporary_folder() as folder:
        values = work.config(folder, precision)
        gan = build_gan(values, run.check_batch(values, work.data))
        clock, stop, record = Clock(work), StopOnSignal(), Record(folder)
        callbacks = [clock, stop, *run.build_callbacks(values, folder, record)]
        run.build_trainer(values, folder, [record], callbacks, None).fit(gan)
    if stop.signum is not None:
        sys.exit(128 + stop.signum)  # it was meant for the benchmark as a whole
    return Block(clock.seconds, gan.generator, gan.discriminator)


def ours_bf16(work: Work) -> Block:
    return ours(work, "bf16-mixed")


def hand_tuned(work: Work) -> Block:
    """Algorithm 1 with fresh noise in each update, and no more."""
    generator, discriminator = work.networks()
    opt_g = Adam(generator.parameters(), fused=True, **ADAM)
    opt_d = Adam(discriminator.parameters(), fused=True, **ADAM)
    weights_g = list(generator.parameters())
    images = normalise(work.data.samples.to(work.device))
    clock, n = Clock(work), work.batch_size
    minibatches = iter(())
    while not clock.done():
        rows = next(minibatches, None)
        if rows is None:
            order = torch.randperm(len(images), device=work.device)
            minibatches = iter(order[: len(order) // n * n].split(n))
            rows = next(minibatches)
        with torch.no_grad():
            fake = generator(torch.randn(n, NOISE_DIM, device=work.device))
        on_real, on_fake = discriminator(torch.cat([images[rows], fake])).chunk(2)
        loss_d = softplus(-on_real).mean() + softplus(on_fake).mean()
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()
        loss_g = softplus(-discriminator(generator(torch.randn(n, NOISE_DIM, device=work.device)))).mean()
        opt_g.zero_grad()
        loss_g.backward(inputs=weights_g)  # none of it for D's weights
        opt_g.step()
    return Block(clock.seconds, generator, discriminator)


class Digits(Dataset):
    """MNIST image by image as torchvision hands it out: a PIL image, turned into a tensor and normalised."""

    def __init__(self, data: MNIST):
        self.images, self.labels = data.images("train+validation").squeeze(1), data.labels("train+validation").tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.images[i].numpy())
        pixels = torch.from_numpy(np.array(picture)).unsqueeze(0).float().div(255)
        return pixels.sub(0.5).div(0.5), self.labels[i]


def pytorch_gan(work: Work) -> Block:
    """G's update first, its samples used again for D's; two passes of D, labels as tensors, a line an iteration.

    There `BatchNorm1d(width, 0.8)` makes 0.8 of eps where momentum was meant; the time is the same, ours is the usual.
    """
    generator, discriminator = work.networks()
    opt_g = Adam(generator.parameters(), **ADAM)
    opt_d = Adam(discriminator.parameters(), **ADAM)
    loader = DataLoader(Digits(work.data), batch_size=work.batch_size, shuffle=True)
    criterion, clock = nn.BCELoss(), Clock(work)
    for epoch in count():
        for i, (images, _) in enumerate(loader):
            if clock.done():
                return Block(clock.seconds, generator, discriminator)
            real = images.to(work.device)
            valid = torch.ones(len(real), device=work.device)
            invalid = torch.zeros(len(real), device=work.device)

            opt_g.zero_grad()
            noise = np.random.normal(0, 1, (len(real), NOISE_DIM))  # noqa: NPY002 - as it is there
            made = generator(torch.tensor(noise, dtype=torch.float32, device=work.device))
            loss_g = criterion(discriminator(made).sigmoid(), valid)
            loss_g.backward()
            opt_g.step()

            opt_d.zero_grad()
            loss_real = criterion(discriminator(real).sigmoid(), valid)
            loss_fake = criterion(discriminator(made.detach()).sigmoid(), invalid)
            loss_d = (loss_real + loss_fake) / 2
            loss_d.backward()
            opt_d.step()
            print(f"epoch {epoch} batch {i}/{len(loader)} D {loss_d.item():f} G {loss_g.item():f}")
    raise AssertionError


class Tutorial(lightning.LightningModule):
    """Manual optimization, each network toggled for its update, the losses logged and shown at every step."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module):
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = generator, discriminator

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> None:
        real, _ = batch
        opt_g, opt_d = self.optimizers()
        z = torch.randn(len(real), NOISE_DIM).type_as(real)

        self.toggle_optimizer(opt_g)
        valid = torch.ones(len(real)).type_as(real)
        loss_g = binary_cross_entropy(self.discriminator(self(z)).sigmoid(), valid)
        self.log("g_loss", loss_g, prog_bar=True)
        self.manual_backward(loss_g)
        opt_g.step()
        opt_g.zero_grad()
        self.untoggle_optimizer(opt_g)

        self.toggle_optimizer(opt_d)
        valid = torch.ones(len(real)).type_as(real)
        invalid = torch.zeros(len(real)).type_as(real)
        loss_real = binary_cross_entropy(self.discriminator(real).sigmoid(), valid)
        loss_fake = binary_cross_entropy(self.discriminator(self(z).detach()).sigmoid(), invalid)
        loss_d = (loss_real + loss_fake) / 2
        self.log("d_loss", loss_d, prog_bar=True)
        self.manual_backward(loss_d)
        opt_d.step()
        opt_d.zero_grad()
        self.untoggle_optimizer(opt_d)

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[Any]]:
        return [Adam(self.generator.parameters(), **ADAM), Adam(self.discriminator.parameters(), **ADAM)], []


def lightning_tutorial(work: Work) -> Block:
    """Lightning's Trainer as it comes: its progress bar, its logger, its checkpoints."""
    module, clock = Tutorial(*work.networks()), Clock(work)
    loader = DataLoader(Digits(work.data), batch_size=work.batch_size, shuffle=True)
    with temporary_folder() as folder:
        lightning.Trainer(
            accelerator="cpu" if work.device == "cpu" else "gpu",
            devices=1,
            max_epochs=-1,
            callbacks=[clock],
            default_root_dir=folder,
        ).fit(module, loader)
    return Block(clock.seconds, module.generator, module.discriminator)


CONTENDERS: dict[str, Callable[[Work], Block]] = {
    contender.__name__: contender for contender in (ours, ours_bf16, hand_tuned, pytorch_gan, lightning_tutorial)
}
REFERENCES = ("hand_tuned", "pytorch_gan")


def measure(work: Work, rounds: int) -> dict[str, list[float]]:
    """Milliseconds an iteration of every contender, round by round."""
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for r in range(rounds):
        names = list(CONTENDERS)
        names = names[r % len(names) :] + names[: r % len(names)]
        for name in names if r % 2 == 0 else reversed(names):
            torch.manual_seed(r)
            np.random.seed(r)  # noqa: NPY002 - pytorch_gan draws from it
            with silence():
                block = CONTENDERS[name](work)
            times[name].append(1000 * block.seconds / work.iterations)
    return times


def ratio(times: dict[str, list[float]], name: str, reference: str) -> float:
    """The median over the rounds of one contender's time in units of another's."""
    return statistics.median(a / b for a, b in zip(times[name], times[reference], strict=True))


def table(batch_size: int, times: dict[str, list[float]]) -> Table:
    """The times at one batch size."""
    view = Table(title=f"batch {batch_size}", title_justify="left")
    view.add_column("ms an iteration", no_wrap=True)
    for title in ("median", "least", "most", *(f"/ {reference}" for reference in REFERENCES)):
        view.add_column(title, justify="right", no_wrap=True)
    for name, values in times.items():
        milliseconds = (statistics.median(values), min(values), max(values))
        ratios = (ratio(times, name, reference) for reference in REFERENCES)
        view.add_row(name, *(f"{x:.2f}" for x in milliseconds), *(f"{x:.2f}" for x in ratios))
    return view


def report(times: dict[int, dict[str, list[float]]], work: Work) -> dict[str, Any]:
    """The results and where they come from, in plain values."""
    origin = provenance()
    return {
        "step": {str(n): {name: statistics.median(ms) for name, ms in rows.items()} for n, rows in times.items()},
        "ratio": {
            str(n): {name: {reference: ratio(rows, name, reference) for reference in REFERENCES} for name in rows}
            for n, rows in times.items()
        },
        "rounds": {str(n): rows for n, rows in times.items()},
        "unit": "milliseconds an iteration: one update of D and one of G",
        "method": f"median over alternating blocks of {work.iterations} iterations after {work.warmup} of warm-up on "
        f"{work.device}; ratio: median of the ratios within a round; ours includes its record, statistics, grids, "
        "checkpoints, the average of G and the checks; start and end of a run excluded; MNIST, "
        "G 100-128-256-512-1024-784 with BatchNorm, D 784-512-256-1, Adam 2e-4",
        "machine": {**origin["machine"], "cores": os.cpu_count()},
        **{key: origin[key] for key in ("versions", "git", "created")},
    }


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ganduel-benchmark-") as folder:
        yield Path(folder)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """What the contenders print is written, to nowhere."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="Time ganduel's training loop against others.")
    parser.add_argument("--batch", type=int, nargs="+", default=[64, 256], help="batch sizes")
    parser.add_argument("--rounds", type=int, default=7, help="blocks of every contender")
    # 500 iterations hold one checkpoint, ten rows of statistics and one grid: about the share that a run has.
    parser.add_argument("--iterations", type=int, default=500, help="timed iterations a block")
    parser.add_argument("--warmup", type=int, default=20, help="iterations before them")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--tiny", action="store_true", help="a few iterations, to see that it runs")
    parser.add_argument("--out", type=Path, help="a JSON file for the results")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.rounds, options.iterations, options.warmup = 1, 3, 1

    run.quiet()
    data, times, console = MNIST(), {}, Console()
    for batch_size in options.batch:
        work = Work(data, batch_size, options.warmup, options.iterations, options.device)
        times[batch_size] = measure(work, options.rounds)
        console.print(table(batch_size, times[batch_size]))
    results = report(times, work)
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


if __name__ == "__main__":
    main()
