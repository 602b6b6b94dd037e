r"""DiffAugment: D sees all images, real and generated, through random changes that gradients pass through.

    color         x + b, b ~ U(−½, ½);   then the distance from each pixel's mean over the channels times U(0, 2);
                  then the distance from the image's mean times U(½, 3/2)
    translation   by whole pixels from −1/8 to 1/8 of the size, each way; what comes in is 0
    cutout        a rectangle of half the height and width around any pixel, set to 0; one of an even side around any
                  border of pixels, so that what is cut off at either end of the image is the same

Images are in [−1, 1]; parameters are drawn for each image. With policy=[] it is the identity. It costs little, helps
most with few data: in the paper, with 10% of CIFAR-10, FID 39.78 → 22.40 (BigGAN, by translation and
cutout).
Source: Zhao, Liu, Lin, Zhu, Han 2020, "Differentiable augmentation for data-efficient GAN training"
(arXiv:2006.10738), and its published code.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ganduel.augment.base import RandomAugment, check_images
from ganduel.augment.transforms import cut_out, translate
from ganduel.errors import UserError, nearest
from ganduel.types import Samples

POLICIES = ("color", "translation", "cutout")
SHIFT, CUT = 1 / 8, 1 / 2  # of height and width


class DiffAugment(RandomAugment):
    """Random changes of colour and place.

    Args:
        policy: which of color, translation and cutout; they are applied in the order given.
    """

    def __init__(self, policy: Sequence[str] = POLICIES):
        super().__init__()
        for name in policy:
            if name not in POLICIES:
                raise UserError(f"augment.policy has {name}, which is not known. {nearest(name, POLICIES)}")
        self.policy = tuple(policy)

    def check(self, loss: Any, shape: Sequence[int]) -> None:
        check_images("diffaugment", shape)

    def forward(self, x: Samples) -> Samples:
        for name in self.policy:
            x = getattr(self, name)(x)
        return x

    def color(self, x: Tensor) -> Tensor:
        brightness, saturation, contrast = self.uniform(x, 3).to(x.dtype).view(-1, 3, 1, 1, 1).unbind(1)
        x = x + brightness - 0.5
        grey = x.mean(1, keepdim=True)
        x = grey + 2 * saturation * (x - grey)
        mean = x.mean((1, 2, 3), keepdim=True)
        return mean + (contrast + 0.5) * (x - mean)

    def translation(self, x: Tensor) -> Tensor:
        reach = torch.tensor([int(size * SHIFT + 0.5) for size in x.shape[2:]], device=x.device)
        return translate(x, (self.uniform(x, 2) * (2 * reach + 1)).floor().long() - reach)

    def cutout(self, x: Tensor) -> Tensor:
        height, width = (int(size * CUT + 0.5) for size in x.shape[2:])
        places = [size + 1 - cut % 2 for size, cut in zip(x.shape[2:], (height, width), strict=True)]
        centres = self.uniform(x, 2) * torch.tensor(places, device=x.device)
        return cut_out(x, centres.floor().long(), (height, width))
