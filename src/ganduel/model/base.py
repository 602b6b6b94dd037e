"""What the two networks are: G maps noise to samples, D maps samples to one logit each; with classes, both see labels.

    G(z) or G(z, y)     z (batch, noise_dim), y (batch,)   → samples (batch, *shape)
    D(x) or D(x, y)     x (batch, *shape), y (batch,)      → logits (batch,)

Any `torch.nn.Module` with these signatures will do. A network that takes labels says of how many classes, in an
attribute `classes`. G also says what noise it takes.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganduel.errors import UserError
from ganduel.rng import Draws, KeyedRandom, seeded
from ganduel.types import Logits, Noise, Samples

NoiseDistribution = Literal["normal", "uniform"]
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Generator(nn.Module, ABC):
    """G(z): noise (batch, noise_dim) → samples (batch, *shape).

    Args:
        noise_dim: the dimension of z.
        noise: p(z), "normal" for N(0, 1) or "uniform" for U(−√3, √3) in each coordinate: both of unit variance.

    Attributes:
        classes: of the labels that `forward` takes as its second argument; None: it takes none.
    """

    classes: int | None = None

    def __init__(self, noise_dim: int, noise: NoiseDistribution = "normal"):
        super().__init__()
        if noise_dim < 1:
            raise UserError(f"model.generator.noise_dim={noise_dim}: noise needs at least one dimension. Try 64.")
        if noise not in ("normal", "uniform"):
            raise UserError(f"model.generator.noise={noise} is not known. There are: normal, uniform.")
        self.noise_dim = noise_dim
        self.noise = noise

    def draw(self, n: int, rng: torch.Generator) -> Noise:
        """N draws from p(z), on the device of the generator of random numbers."""
        if self.noise == "normal":
            return torch.randn(n, self.noise_dim, generator=rng, device=rng.device)
        bound = math.sqrt(3)
        return torch.empty(n, self.noise_dim, device=rng.device).uniform_(-bound, bound, generator=rng)

    @abstractmethod
    def forward(self, z: Noise) -> Samples: ...


class Discriminator(nn.Module, ABC):
    """D: samples (batch, *shape) → logits (batch,); sigmoid(logit) is the probability of being real.

    Attributes:
        classes: of the labels that `forward` takes as its second argument; None: it takes none.
        mixes_samples: whether a sample's logit depends on the others of its batch; None: it is tried out.
    """

    classes: int | None = None
    mixes_samples: bool | None = None

    @abstractmethod
    def forward(self, x: Samples) -> Logits: ...


def conditioned(net: Callable[..., Any], x: Tensor, y: Tensor | None) -> Tensor:
    """What a network makes of noise or samples and their labels; without labels it gets one argument."""
    return net(x) if y is None else net(x, y)


def as_logits(output: Tensor) -> Logits:
    """D's output, checked and in float32 at least."""
    if not isinstance(output, Tensor) or output.ndim != 1:
        kind = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UserError(f"D must give one logit per sample, shape (batch,), not {kind}. Squeeze it.")
    return at_least_float32(output)


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in float32, unless it is in float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def check_parts(generator: nn.Module, discriminator: nn.Module, classes: int | None, penalties: Iterable[Any]) -> None:
    """Refuse networks that take labels of data without classes, the reverse, and a D that a penalty cannot have."""
    for penalty in penalties:
        penalty.check(discriminator)
    for name, net in (("G", generator), ("D", discriminator)):
        known = getattr(net, "classes", None)
        if known == classes:
            continue
        if classes is None:
            raise UserError(f"{name} ({type(net).__name__}) takes labels of {known} classes, and the data have none.")
        if known is None:
            raise UserError(f"the data have labels of {classes} classes, and {name} ({type(net).__name__}) takes none.")
        raise UserError(f"{name} ({type(net).__name__}) takes labels of {known} classes, and the data have {classes}.")


def keyed_layers(module: nn.Module) -> list[KeyedRandom]:
    """The layers within that draw at random in training, from draws that they are given."""
    return [layer for layer in module.modules() if isinstance(layer, KeyedRandom)]


def uses_batch_norm(net: nn.Module) -> bool:
    """Whether there is a BatchNorm in it, which normalises each sample by the others of its batch."""
    return any(isinstance(module, BATCH_NORMS) for module in net.modules())


def depends_on_ranks(generator: nn.Module, discriminator: nn.Module, mixes_samples: bool) -> bool:
    """Whether samples are mixed with those of the same rank alone, so that another number of ranks is another training.

    So it is with BatchNorm, but not with SyncBatchNorm, whose statistics are of all ranks.
    """
    modules = [module for net in (generator, discriminator) for module in net.modules()]
    local = any(isinstance(module, BATCH_NORMS) and not isinstance(module, nn.SyncBatchNorm) for module in modules)
    return local or (mixes_samples and not uses_batch_norm(discriminator))


def mixes_samples(discriminator: nn.Module, shape: Sequence[int], classes: int | None = None) -> bool:
    """Whether a sample's logit depends on the others of its batch; tried out on a copy, unless D says so itself.

    So it is with BatchNorm and minibatch standard deviation. Real and generated samples must not share a batch then.
    """
    stated = getattr(discriminator, "mixes_samples", None)
    if stated is not None:
        return stated
    if uses_batch_norm(discriminator):
        return True
    n, like = 8, next(discriminator.parameters(), torch.empty(0))
    stream = torch.Generator().manual_seed(0)
    first, second, third = (torch.randn(n, *shape, generator=stream).to(like) for _ in range(3))
    y = None if classes is None else (torch.arange(2 * n) % classes).to(like.device)

    def logits(others: Tensor) -> Tensor:
        net, draws = deepcopy(discriminator), Draws(like.device, n)  # a copy each: spectral norm changes in each pass
        draws.seed("trial")
        for layer in keyed_layers(net):
            layer.draws = draws
        with torch.no_grad(), seeded("trial"):
            return conditioned(net, torch.cat([first, others]), y)[:n]

    return not torch.allclose(logits(second), logits(third), rtol=1e-4, atol=1e-5, equal_nan=True)
