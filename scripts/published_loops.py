"""Loops as others have published them, on the networks, the data and the batch of step_loops.py.

pytorch_gan         a loop as in PyTorch-GAN's gan.py (E. Linder-Norén), the one most often copied; that of its
                    dcgan.py is the same with other networks
lightning_tutorial  a module as in Lightning's GAN tutorial, without its pictures
"""

from itertools import count
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import torch
from blocks import temporary_folder
from PIL import Image
from step_loops import ADAM, NOISE_DIM, Block, Clock, Work
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy
from torch.optim import Adam
from torch.utils.data import DataLoader, Dataset

from ganduel.data.mnist import MNIST


class Resize(nn.Module):
    """What is left of it where the image has the size already: to look at the size."""

    def __init__(self, size: int):
        super().__init__()
        self.size = [size]

    def forward(self, picture: Image.Image) -> Image.Image:
        width, height = picture.size
        short, long = min(width, height), max(width, height)
        new = [self.size[0], int(self.size[0] * long / short)]
        assert [short, long] == new
        return picture


class ToTensor:
    """Pixels as floats in [0, 1], channels in front."""

    def __call__(self, picture: Image.Image) -> Tensor:
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        pixels = pixels.view(picture.size[1], picture.size[0], len(picture.getbands()))
        pixels = pixels.permute((2, 0, 1)).contiguous()
        return pixels.to(dtype=torch.get_default_dtype()).div(255)


class Normalize(nn.Module):
    """Less the mean, over the standard deviation, of each channel; both become tensors for each image."""

    def __init__(self, mean: list[float], std: list[float]):
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, pixels: Tensor) -> Tensor:
        pixels = pixels.clone()
        mean, std = (torch.as_tensor(x, dtype=pixels.dtype, device=pixels.device) for x in (self.mean, self.std))
        assert not (std == 0).any()
        return pixels.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))


class Digits(Dataset):
    """MNIST image by image, in the steps in which torchvision hands it out to both.

    A minibatch of 64 takes 5.6 ms, and 6.4 from torchvision 0.28 itself, whose bookkeeping is not here.
    """

    def __init__(self, data: MNIST):
        self.images, self.labels = data.images("train+validation").squeeze(1), data.labels("train+validation")
        self.transforms = [Resize(self.images.shape[-1]), ToTensor(), Normalize([0.5], [0.5])]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        item: Any = Image.fromarray(self.images[i].numpy())
        label = int(self.labels[i])
        for transform in self.transforms:
            item = transform(item)
        return item, label


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
