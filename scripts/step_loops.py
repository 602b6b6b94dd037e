"""Training loops with the same networks, data and batch, of which benchmark.py times every iteration.

    ours                the GAN module in the Trainer that run.py builds, with everything a run does but W&B: its
                        record, statistics, grids, checkpoints, the average of G, the check for NaN, signals
    ours_bf16           the same with trainer.precision=bf16-mixed
    ours_graph          ours with trainer.cuda_graph=true; …_bf16 in bfloat16, …_tf32 with matmul_precision=high,
                        …_compiled with trainer.compile=true
    hand_tuned          a plain loop with nothing but the two updates: data in memory as floats, one pass of D over
                        both minibatches, fused Adam, no D gradient in G's update, no logging
    hand_graph          hand_tuned's iteration as one CUDA graph, noise and the choice of rows included
    products            no training: the matrix products of hand_tuned's iteration and nothing else, each into memory
                        that is there already; what no loop in float32 can be faster than. On a GPU as one graph
    pytorch_gan         a loop as in PyTorch-GAN's gan.py (E. Linder-Norén), the one most often copied
    lightning_tutorial  a module as in Lightning's GAN tutorial, without its pictures

One iteration is one update of D and one of G. All take the networks from the same builders and start every block
afresh. A block is a number of warm-up iterations and then the timed ones; building, compiling and the start of a
Trainer are not timed. Those with a graph in their names need a GPU.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from blocks import begin, temporary_folder
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, softplus
from torch.optim import Adam
from torch.utils.data import DataLoader, Dataset

from ganduel import run
from ganduel.build import build_gan, build_networks
from ganduel.callback.progress import ProgressBar
from ganduel.callback.stop import StopOnSignal
from ganduel.data.base import normalise
from ganduel.data.mnist import MNIST
from ganduel.tracking.record import Record

SETTINGS = (
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
    "callback=[statistics,saturation,sample_grid,theory]",  # without the metrics, which come at the end of a run
    "trainer=default",
    "tracking=none",
)
DEFAULT = tuple(setting for setting in SETTINGS if "." not in setting)  # the networks and rates of `python train.py`
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}
NOISE_DIM = 100
Shape = tuple[int, int, int]  # of a product: (m, k) times (k, p)


@dataclass(frozen=True)
class Work:
    """What one block of a contender is to do."""

    data: MNIST
    batch_size: int
    warmup: int
    iterations: int
    device: str = "cpu"
    settings: Sequence[str] = SETTINGS

    def config(self, folder: Path, words: Sequence[str] = ()) -> dict[str, Any]:
        """The config of a run in the folder, as a command line with these words more would give it."""
        overrides = [
            *self.settings,
            *words,
            f"batch_size={self.batch_size}",
            f"callback.sample_grid.first={max(1, self.warmup + self.iterations // 2)}",  # one grid a block
            "callback.sample_grid.growth=2.0",
            f"trainer.max_steps={self.warmup + self.iterations + 1}",
        ]
        return begin(folder, overrides, self.device)

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

    def before(self, iterate: Callable[[int], Any]) -> Callable[[int], Any]:
        """The function, timed as a loop is that it would be called in."""

        def timed(t: int) -> Any:
            self.done()
            return iterate(t)

        return timed

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self.done():
            trainer.should_stop = True


def ours(work: Work, words: Sequence[str] = (), watch: Sequence[lightning.Callback] = ()) -> Block:
    """Our module and Trainer, put together as `run.fit` does it.

    Who watches asks Lightning for its loop, which is passed over where nobody does.
    """
    with temporary_folder() as folder:
        values = work.config(folder, words)
        gan = build_gan(values, run.check_batch(values, work.data))
        clock, stop, record = Clock(work), StopOnSignal(), Record(folder)
        gan.iterate = clock.before(gan.iterate)
        callbacks = [*watch, stop, *run.build_callbacks(values, folder, ProgressBar(record))]
        with run.matmul_precision(values):
            run.build_trainer(values, folder, [record], callbacks, None).fit(gan)
    if stop.signum is not None:
        sys.exit(128 + stop.signum)  # it was meant for the benchmark as a whole
    return Block(clock.seconds, gan.generator, gan.discriminator)


class HandWritten:
    """Algorithm 1 with fresh noise in each update, and no more."""

    def __init__(self, work: Work, capturable: bool = False):
        self.generator, self.discriminator = work.networks()
        self.opt_g = Adam(self.generator.parameters(), fused=True, capturable=capturable, **ADAM)
        self.opt_d = Adam(self.discriminator.parameters(), fused=True, capturable=capturable, **ADAM)
        self.weights_g = list(self.generator.parameters())
        self.images = normalise(work.data.samples.to(work.device))
        self.n, self.noise_dim, self.device = work.batch_size, widths(self.generator)[0][0], work.device

    def rows(self) -> Iterator[Tensor]:
        """Which images the minibatches have, epoch by epoch."""
        while True:
            order = torch.randperm(len(self.images), device=self.device)
            yield from order[: len(order) // self.n * self.n].split(self.n)

    def noise(self) -> Tensor:
        return torch.randn(self.n, self.noise_dim, device=self.device)

    def iterate(self, rows: Tensor) -> None:
        with torch.no_grad():
            fake = self.generator(self.noise())
        on_real, on_fake = self.discriminator(torch.cat([self.images[rows], fake])).chunk(2)
        loss_d = softplus(-on_real).mean() + softplus(on_fake).mean()
        self.opt_d.zero_grad()
        loss_d.backward()
        self.opt_d.step()
        loss_g = softplus(-self.discriminator(self.generator(self.noise()))).mean()
        self.opt_g.zero_grad()
        loss_g.backward(inputs=self.weights_g)  # none of it for D's weights
        self.opt_g.step()


def hand_tuned(work: Work) -> Block:
    loop, clock = HandWritten(work), Clock(work)
    rows = loop.rows()
    while not clock.done():
        loop.iterate(next(rows))
    return Block(clock.seconds, loop.generator, loop.discriminator)


def hand_graph(work: Work) -> Block:
    loop, clock = HandWritten(work, capturable=True), Clock(work)
    rows = loop.rows()
    chosen = next(rows).clone()
    launch = recorded(lambda: loop.iterate(chosen))
    while not clock.done():
        chosen.copy_(next(rows))
        launch()
    return Block(clock.seconds, loop.generator, loop.discriminator)


def recorded(function: Callable[[], None]) -> Callable[[], None]:
    """What launches the function's kernels as one graph; it is called three times before it is recorded."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def products(work: Work) -> Block:
    """The products of hand_tuned's iteration by their shapes; see the head of this file."""
    generator, discriminator = work.networks()
    jobs = [
        (*(torch.randn(size, device=work.device) for size in ((m, k), (k, p))), torch.empty(m, p, device=work.device))
        for m, k, p in shapes_of_products(generator, discriminator, work.batch_size)
    ]

    def multiply() -> None:
        for a, b, out in jobs:
            torch.mm(a, b, out=out)

    clock, launch = Clock(work), multiply if work.device == "cpu" else recorded(multiply)
    while not clock.done():
        launch()
    return Block(clock.seconds, generator, discriminator)


def shapes_of_products(generator: nn.Module, discriminator: nn.Module, n: int) -> list[Shape]:
    """Those of an iteration with one pass of D over both minibatches of n samples."""
    shapes = list[Shape]()
    for i, (inputs, outputs) in enumerate(widths(generator)):
        shapes += [(n, inputs, outputs)] * 2 + [(outputs, n, inputs)]  # forward in both updates; its weights' gradient
        shapes += [(n, outputs, inputs)] if i > 0 else []  # the gradient that goes on to the layer before
    for i, (inputs, outputs) in enumerate(widths(discriminator)):
        shapes += [(2 * n, inputs, outputs), (outputs, 2 * n, inputs)]
        shapes += [(2 * n, outputs, inputs)] if i > 0 else []
        shapes += [(n, inputs, outputs), (n, outputs, inputs)]  # G's update: through D, down to the images
    return shapes


def widths(network: nn.Module) -> list[tuple[int, int]]:
    """Inputs and outputs of its linear layers, in order."""
    return [(layer.in_features, layer.out_features) for layer in network.modules() if isinstance(layer, nn.Linear)]


class Digits(Dataset):
    """MNIST image by image as torchvision hands it out, in the steps of its ToTensor and its Normalize.

    Its Resize, which PyTorch-GAN has before them, returns an image of the right size as it is.
    """

    def __init__(self, data: MNIST):
        self.images, self.labels = data.images("train+validation").squeeze(1), data.labels("train+validation").tolist()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.images[i].numpy())
        pixels = torch.from_numpy(np.array(picture)).view(picture.height, picture.width, 1)
        pixels = pixels.permute(2, 0, 1).contiguous().float().div(255).clone()
        mean, std = torch.tensor([0.5]), torch.tensor([0.5])
        assert not (std == 0).any()
        return pixels.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1)), self.labels[i]


def pytorch_gan(work: Work) -> Block:
    """G's update first, its samples used again for D's; two passes of D, labels as tensors, a line with two losses.

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


BF16, GRAPH, COMPILED = "trainer.precision=bf16-mixed", "trainer.cuda_graph=true", "trainer.compile=true"
WORDS = {
    "ours": [],
    "ours_bf16": [BF16],
    "ours_graph": [GRAPH],
    "ours_graph_tf32": [GRAPH, "trainer.matmul_precision=high"],
    "ours_graph_bf16": [GRAPH, BF16],
    "ours_graph_compiled": [GRAPH, COMPILED],
    "ours_graph_bf16_compiled": [GRAPH, BF16, COMPILED],
}
CONTENDERS: dict[str, Callable[[Work], Block]] = {
    **{name: partial(ours, words=words) for name, words in WORDS.items()},
    **{loop.__name__: loop for loop in (hand_tuned, hand_graph, products, pytorch_gan, lightning_tutorial)},
}


def contenders(device: str) -> list[str]:
    """The names of those that a device can run."""
    return [name for name in CONTENDERS if device != "cpu" or "graph" not in name]
