"""Parts that the package has not, as a user's file would hold them: what runs name as `_target_: toys.Stretch`."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganduel.augment.base import Augment
from ganduel.data.base import TensorData
from ganduel.model.base import Discriminator, Generator
from ganduel.ranks import mean_over_ranks
from ganduel.rng import KeyedRandom


class LabelledPoints(TensorData):
    """Three clusters on the unit circle, and the number of each point's."""

    features = "points"

    def __init__(self, n: int = 48):
        labels = torch.arange(n) % 3
        angles, stream = labels * (2 * math.pi / 3), torch.Generator().manual_seed(0)
        centres = torch.stack([angles.cos(), angles.sin()], 1)
        super().__init__(centres + 0.1 * torch.randn(n, 2, generator=stream), labels)


class LabelledImages(TensorData):
    """Images of 4 by 4 pixels, dark ones of class 0 and bright ones of class 1."""

    def __init__(self, n: int = 48):
        labels, stream = torch.arange(n) % 2, torch.Generator().manual_seed(0)
        pixels = torch.randint(100, (n, 1, 4, 4), generator=stream) + 150 * labels.view(-1, 1, 1, 1)
        super().__init__(pixels.to(torch.uint8), labels)


class ConditionalGenerator(Generator):
    """An embedding of the class beside the noise."""

    def __init__(self, shape: Sequence[int], classes: int, noise_dim: int = 3, hidden: int = 8):
        super().__init__(noise_dim)
        self.shape, self.classes = tuple(shape), classes
        self.embedding = nn.Embedding(classes, 2)
        self.net = nn.Sequential(nn.Linear(noise_dim + 2, hidden), nn.Tanh(), nn.Linear(hidden, math.prod(shape)))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([z, self.embedding(y)], 1)).unflatten(1, self.shape)


class Features(Discriminator):
    """A hidden layer and a linear one; subclasses look at the hidden layer's output in other ways."""

    def __init__(self, shape: Sequence[int], hidden: int = 8):
        super().__init__()
        self.features = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), hidden), nn.Tanh())
        self.linear = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        return self.linear(self.features(x)).squeeze(1)


class ProjectionDiscriminator(Features):
    """ψ(φ(x)) + v_y · φ(x): Miyato and Koyama 2018 (arXiv:1802.05637)."""

    def __init__(self, shape: Sequence[int], classes: int, hidden: int = 8):
        super().__init__(shape, hidden)
        self.classes = classes
        self.embedding = nn.Embedding(classes, hidden)

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        h = self.features(x)
        return self.linear(h).squeeze(1) + (self.embedding(*labels) * h).sum(1)


class MinibatchStd(Features):
    """Each sample also sees how much its batch varies: Karras et al. 2018, section 3 (arXiv:1710.10196)."""

    def forward(self, x: Tensor, *labels: Tensor) -> Tensor:
        h = self.features(x)
        return self.linear(h).squeeze(1) + (h.var(0, correction=0) + 1e-8).sqrt().mean()


class StatedMinibatchStd(MinibatchStd):
    """Says of itself what is not so."""

    mixes_samples = False


class FunctionalBatchNorm(nn.Module):
    """A plain module, with a batch norm that is no module."""

    def __init__(self, shape: Sequence[int], hidden: int = 8):
        super().__init__()
        self.first, self.second = nn.Linear(math.prod(shape), hidden), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.batch_norm(self.first(x.flatten(1)), None, None, training=True)
        return self.second(h.tanh()).squeeze(1)


class Stretch(Augment):
    """Twice as far from the origin: neither drawn nor kept."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


class AdaptiveNoise(Augment, KeyedRandom):
    """Samples times noise, with a probability p that follows how often D is right: Karras et al. 2020 (ADA)."""

    p: Tensor

    def __init__(self, step: float = 0.02, scale: float = 0.3):
        super().__init__()
        self.step, self.scale = step, scale
        self.register_buffer("p", torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        assert self.draws is not None
        chosen = (self.draws.uniform(x.flatten(1)[:, 0]) < self.p).to(x)
        return x * (1 + self.scale * chosen.view(-1, *[1] * (x.ndim - 1)) * self.draws.normal(x))

    def adapt(self, outputs: dict[str, Tensor]) -> None:
        self.p.add_(self.step * mean_over_ranks(outputs["logit/real"].sign().mean())).clamp_(0, 1)


def part(name: str, **knobs: Any) -> dict[str, Any]:
    """A toy in a config."""
    return {"_target_": f"toys.{name}", **knobs}


class TinyImages(TensorData):
    """Thirty-two images of 3 × 5 × 5, all different."""

    def __init__(self):
        n = torch.arange(32 * 75)
        super().__init__((n * n * 7 % 256).to(torch.uint8).reshape(32, 3, 5, 5))

    def use_labels(self) -> None:
        self.set_labels(torch.arange(32) % 3)


class TwiceTheSame(TensorData):
    """Sixteen points, each twice."""

    def __init__(self):
        points = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
        super().__init__(points.repeat(2, 1))
