"""Training loops with the same networks, data and batch, of which benchmark.py times every iteration.

    ours                the GAN module in a Trainer as run.fit builds it, with everything a run does but W&B: its
                        record, statistics, grids, checkpoints, the average of G, the check for NaN, signals; iterations
                        in blocks, as in any run without a user callback that looks at each one
    ours_bf16           the same with trainer.precision=bf16-mixed
    ours_eager          on a GPU: with engine=eager, where `ours` has engine=auto; ours_compile with engine=compile,
                        ours_tf32 with trainer.matmul_precision=high
    hand_tuned          a plain loop with nothing but the two updates: data in memory as floats, one pass of D over
                        both minibatches unless it has a BatchNorm, fused Adam, no D gradient in G's update, no logging
    hand_channels_last  the same with the weights of convolutions, and so their outputs, in torch.channels_last
    hand_graph          hand_tuned's iteration as one CUDA graph, noise and the choice of rows included
    matmuls             no training: the matrix multiplications of hand_tuned's iteration and nothing else, each into
                        memory that is there already; what no loop in float32 can be faster than. On a GPU as one graph;
                        of fully connected networks alone

One iteration is one update of D and one of G. All take the networks from the same builders and start every block
afresh. A block is a number of warm-up iterations and then the timed ones; building, capturing, compiling and the start
of a Trainer are not timed. `hand_graph` needs a GPU.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning.pytorch as lightning
import torch
from blocks import Iterate, begin, fit, temporary_folder
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.optim import Adam

from ganduel.data.base import normalise
from ganduel.data.mnist import MNIST
from ganduel.factory.networks import build_networks
from ganduel.model.base import uses_batch_norm

TRAINING = (
    "loss=nonsaturating",
    "penalty=[]",
    "data=mnist",
    "optimizer=adam",
    "optimizer.discriminator.lr=2e-4",
    "optimizer.generator.lr=2e-4",
    "schedule=constant",
    "callback=[statistics,saturation,sample_grid,theory]",  # without the metrics, which come at the end of a run
    "trainer=default",
    "tracking=none",
)
MLP = (
    "model=mlp",
    "model.generator.noise_dim=100",
    "model.generator.hidden=[128,256,512,1024]",
    "model.generator.norm=batch",
    "model.discriminator.hidden=[512,256]",
)
DCGAN = ("model=dcgan", "model.generator.noise=normal")  # BatchNorm in both, z of 100
SETTINGS = (*MLP, *TRAINING)
NETWORKS = {  # benchmark.py --network: the words for them, and what they are
    "mlp": (SETTINGS, "G 100-128-256-512-1024-784 with BatchNorm, D 784-512-256-1"),
    "dcgan": ((*DCGAN, *TRAINING), "DCGAN of width 64, BatchNorm in G and D"),
    "dcgan_none": (
        (*DCGAN, "model.discriminator.norm=none", *TRAINING),
        "DCGAN of width 64, BatchNorm in G, no norm in D",
    ),
    "dcgan_spectral": (
        (*DCGAN, "model.discriminator.norm=spectral", *TRAINING),
        "DCGAN of width 64, BatchNorm in G, spectral norm in D",
    ),
}
DEFAULT = tuple(setting for setting in SETTINGS if "." not in setting)  # the networks and rates of `python train.py`
ADAM: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999)}
NOISE_DIM = 100
Shape = tuple[int, int, int]  # of a matmul: (m, k) times (k, p)


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
            f"callback.sample_grid.first={max(1, self.warmup + self.iterations // 2)}",  # one grid per block
            "callback.sample_grid.growth=2.0",
            f"trainer.max_steps={self.warmup + self.iterations + 1}",
        ]
        return begin(folder, overrides, self.device)

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """G and D with the initial weights of our run."""
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

    def before(self, iterate: Iterate) -> Iterate:
        """The function, timed as a loop is that it would be called in."""

        def timed(t: int) -> Any:
            self.done()
            return iterate(t)

        return timed

    def on_train_batch_start(self, trainer: lightning.Trainer, *_: Any) -> None:
        if self.done():
            trainer.should_stop = True


def ours(work: Work, words: Sequence[str] = (), callbacks: Sequence[lightning.Callback] = ()) -> Block:
    """Our module and Trainer, put together as `run.fit` does it."""
    with temporary_folder() as folder:
        clock = Clock(work)
        gan = fit(work.config(folder, words), folder, clock.before, work.data, callbacks)
    return Block(clock.seconds, gan.generator, gan.discriminator)


class HandWritten:
    """Algorithm 1 with fresh noise in each update, and no more."""

    def __init__(self, work: Work, capturable: bool = False, layout: torch.memory_format = torch.contiguous_format):
        self.generator, self.discriminator = (
            net.to(memory_format=layout)  # type: ignore[call-overload]  # its documentation has it, its overloads do not
            for net in work.networks()
        )
        self.opt_g = Adam(self.generator.parameters(), fused=True, capturable=capturable, **ADAM)
        self.opt_d = Adam(self.discriminator.parameters(), fused=True, capturable=capturable, **ADAM)
        self.weights_g = list(self.generator.parameters())
        self.joint = not uses_batch_norm(self.discriminator)  # which would mix real and generated samples
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
        real = self.images[rows]
        if self.joint:
            on_real, on_fake = self.discriminator(torch.cat([real, fake])).chunk(2)
        else:
            on_real, on_fake = self.discriminator(real), self.discriminator(fake)
        loss_d = softplus(-on_real).mean() + softplus(on_fake).mean()
        self.opt_d.zero_grad()
        loss_d.backward()
        self.opt_d.step()
        loss_g = softplus(-self.discriminator(self.generator(self.noise()))).mean()
        self.opt_g.zero_grad()
        loss_g.backward(inputs=self.weights_g)  # none of it for D's weights
        self.opt_g.step()


def hand_channels_last(work: Work) -> Block:
    return hand_tuned(work, torch.channels_last)


def hand_tuned(work: Work, layout: torch.memory_format = torch.contiguous_format) -> Block:
    loop, clock = HandWritten(work, layout=layout), Clock(work)
    rows = loop.rows()
    while not clock.done():
        loop.iterate(next(rows))
    return Block(clock.seconds, loop.generator, loop.discriminator)


def hand_graph(work: Work) -> Block:
    loop, clock = HandWritten(work, capturable=True), Clock(work)
    rows = loop.rows()
    indices = next(rows).clone()
    launch = captured(lambda: loop.iterate(indices))
    while not clock.done():
        indices.copy_(next(rows))
        launch()
    return Block(clock.seconds, loop.generator, loop.discriminator)


def captured(function: Callable[[], None]) -> Callable[[], None]:
    """What launches the function's kernels as one graph; it is called three times before it is captured."""
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


def matmuls(work: Work) -> Block:
    """The matmuls of hand_tuned's iteration by their shapes; see the head of this file."""
    generator, discriminator = work.networks()
    jobs = [
        (*(torch.randn(size, device=work.device) for size in ((m, k), (k, p))), torch.empty(m, p, device=work.device))
        for m, k, p in shapes_of_matmuls(generator, discriminator, work.batch_size)
    ]

    def multiply() -> None:
        for a, b, out in jobs:
            torch.mm(a, b, out=out)

    clock, launch = Clock(work), multiply if work.device == "cpu" else captured(multiply)
    while not clock.done():
        launch()
    return Block(clock.seconds, generator, discriminator)


def shapes_of_matmuls(generator: nn.Module, discriminator: nn.Module, n: int) -> list[Shape]:
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
