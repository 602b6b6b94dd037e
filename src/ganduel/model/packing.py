"""Packing: D sees several samples at once, all real or all generated, by which a collapsed G gives itself away.

    D(x₁, …, x_n) = [d(x₁ … x_p), d(x_{p+1} … x_{2p}), …]      one logit for each p = `pack` consecutive samples

d is any D, built for samples with p times the channels, or of p times as many values; it can take no labels. A penalty
on slopes takes the slope in each sample of a pack, and its mean is over samples: R1 is 1/p of that over packs.
Source: Lin et al. 2018, "PacGAN: the power of two samples in generative adversarial networks"
(arXiv:1712.04086).
"""

from collections.abc import Sequence

from torch import nn

from ganduel.errors import UserError
from ganduel.model.base import Discriminator, mixes_samples
from ganduel.types import Logits, Samples


class Packed(Discriminator):
    """(batch, *shape) → logits (batch / pack,).

    Args:
        net: D for packs.
        pack: samples in one.
        shape: of a sample.
    """

    def __init__(self, net: nn.Module, pack: int, shape: Sequence[int]):
        super().__init__()
        if getattr(net, "classes", None) is not None:
            raise UserError(f"pack={pack}: D ({type(net).__name__}) takes labels, and a pack has none. Use pack=1.")
        self.net, self.pack = net, pack
        self.mixes_samples = mixes_samples(net, packed_shape(shape, pack))  # beyond the samples of a pack

    def forward(self, x: Samples) -> Logits:
        if len(x) % self.pack:
            raise UserError(
                f"pack={self.pack}: {len(x)} samples are no whole number of packs. "
                f"Use a batch_size that is a multiple of {self.pack} for each rank."
            )
        return self.net(x.unflatten(0, (-1, self.pack)).flatten(1, 2))


def packed_shape(shape: Sequence[int], pack: int) -> tuple[int, ...]:
    """Of a pack as one sample."""
    return (pack * shape[0], *shape[1:])
