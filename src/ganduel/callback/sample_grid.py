"""What G makes of one fixed set of noise, watched as it learns.

    samples/real.png                      a grid of real images, once
    samples/iteration_00000000.png …      one noise at iteration 0, then at geometrically growing iterations
    samples/progress.gif                  all of them in a row, at the end

With classes there is a row for each. Samples come from the average of G's weights where there is one. The noise is
drawn from (seed, "grid") on the CPU.
"""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image

from ganduel import rng
from ganduel.block import NEVER, Scheduled
from ganduel.callback.base import gan_of, geometric, images_seen, log_picture, next_geometric
from ganduel.errors import UserError
from ganduel.image_grid import animate, generate, make_grid, make_grid_of_classes


class SampleGrid(Callback, Scheduled):
    """Draws the grids, for data that are images.

    Args:
        n: samples in a grid.
        first: the first iteration after 0 with a grid.
        growth: each further grid comes after this many times the iterations; the last iteration always has one.
        gif: whether to write the animation.
    """

    def __init__(self, n: int = 64, first: int = 100, growth: float = 1.5, gif: bool = True):
        if n < 1 or first < 1 or not growth > 1:
            raise UserError("callback.sample_grid needs n ≥ 1, first ≥ 1 and growth > 1.")
        self.n, self.first, self.growth, self.gif = n, first, growth, gif

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.folder = Path(trainer.default_root_dir) / "samples"

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gan = gan_of(trainer)
        self.on = trainer.is_global_zero and gan.batches.data.is_image
        if not self.on:
            return
        self.noise = gan.batches.draw_noise(self.n, rng.generator(gan.batches.seed, "grid"))
        self.folder.mkdir(exist_ok=True)
        if trainer.global_step == 0:
            real = make_grid(gan.batches.data.examples(gan.batches.seed, self.n))
            self.publish(trainer, "samples/real", "real.png", real, "real images")
            self.draw(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        n = trainer.global_step
        if self.on and (geometric(n, self.first, self.growth) or n == trainer.max_steps):
            self.draw(trainer)

    def next_due(self, n: int) -> int:
        return next_geometric(n, self.first, self.growth) if self.on else NEVER

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.on and self.gif and trainer.global_step >= trainer.max_steps:
            animate(sorted(self.folder.glob("iteration_*.png")), self.folder / "progress.gif")

    def draw(self, trainer: Trainer) -> None:
        gan = gan_of(trainer)
        which = "G" if gan.ema is None else "average of G"
        caption = f"iteration {trainer.global_step:,}, {images_seen(gan):,} images, {which}, seed {gan.batches.seed}"
        images = make_grid_of_classes(generate(gan.ema_generator, self.noise), gan.batches.data.classes)
        self.publish(trainer, "samples/fake", f"iteration_{trainer.global_step:08d}.png", images, caption)

    def publish(self, trainer: Trainer, key: str, name: str, grid: Image.Image, caption: str) -> None:
        path = self.folder / name
        grid.save(path, compress_level=3)  # training waits: a quarter of the time for a fifth more bytes
        log_picture(trainer, key, path, caption)
