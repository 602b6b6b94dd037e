r"""How G learns the class that it is to make: an embedding beside the noise, or a BatchNorm for each class.

    embedding     G(z, y) = G([z, e_y])                   e_y a learnt vector per class
    batch_norm    γ_y · (h − mean) / std + β_y            of each BatchNorm in G, with a scale and a shift per class

Source: embedding: Mirza and Osindero 2014, "Conditional generative adversarial nets", section 3.2 (arXiv:1411.1784);
conditional BatchNorm: Dumoulin et al. 2017 (arXiv:1610.07629), in GANs Miyato and Koyama 2018, "cGANs with projection
discriminator", section 5.1 (arXiv:1802.05637).
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganduel.condition.base import Condition
from ganduel.errors import UserError
from ganduel.model.base import BATCH_NORMS, Generator, copied
from ganduel.types import Labels, Noise, Samples

GeneratorCondition = Literal["embedding", "batch_norm"]


class ConditionedGenerator(Generator):
    """G(z, y), made of a G without labels."""

    def __init__(self, net: Generator, classes: int, noise_dim: int):
        super().__init__(noise_dim, net.noise)  # type: ignore[arg-type]
        self.net, self.classes = net, classes

    def truncated(self, truncation: float, z: Noise | None = None) -> "Generator":
        copy = copied(self)
        copy.net = self.net.truncated(truncation, z)
        copy.truncation = copy.net.truncation  # None where it is not the noise that is truncated
        return copy


class EmbeddingGenerator(ConditionedGenerator):
    """G(z, y) = G([z, e_y]); e_y begins as a draw from N(0, 1), as the noise is."""

    def __init__(self, net: Generator, classes: int, size: int):
        super().__init__(net, classes, net.noise_dim - size)
        self.embedding = nn.Embedding(classes, size)
        net.class_dim = size

    def forward(self, z: Noise, y: Labels) -> Samples:  # type: ignore[override]
        return self.net(self.embedded(z, y))

    def embedded(self, z: Tensor, y: Labels) -> Tensor:
        return torch.cat([z, self.embedding(y).to(z.dtype)], 1)

    @torch.no_grad()
    def truncated(self, truncation: float, z: Noise | None = None) -> "Generator":
        z = self.draw(10_000, torch.Generator()).to(self.embedding.weight) if z is None else z
        return super().truncated(
            truncation, self.embedded(z, torch.arange(len(z), device=z.device) % len(self.embedding.weight))
        )


class ConditionalBatchNorm(nn.Module):
    """A BatchNorm without weights, followed by a scale and a shift for each class, 1 and 0 in the beginning."""

    labels: Labels | None = None  # of the minibatch that is passing

    def __init__(self, norm: nn.Module, classes: int):
        super().__init__()
        features: Any = norm.num_features
        self.norm = type(norm)(features, eps=norm.eps, momentum=norm.momentum, affine=False)  # type: ignore[operator]
        self.scale, self.shift = nn.Embedding(classes, features), nn.Embedding(classes, features)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor) -> Tensor:
        assert self.labels is not None
        place = (x.shape[0], -1, *[1] * (x.ndim - 2))
        return self.scale(self.labels).view(place) * self.norm(x) + self.shift(self.labels).view(place)


class BatchNormGenerator(ConditionedGenerator):
    """G(z, y), with a conditional BatchNorm instead of each BatchNorm of G."""

    def __init__(self, net: Generator, classes: int):
        super().__init__(net, classes, net.noise_dim)
        replaced = [name for name, module in net.named_modules() if isinstance(module, BATCH_NORMS)]
        if not replaced:
            raise UserError(
                f"condition.generator=batch_norm: {type(net).__name__} has no BatchNorm. Use a G with norm=batch, or "
                "condition.generator=embedding."
            )
        for name in replaced:
            parent, _, child = name.rpartition(".")
            setattr(net.get_submodule(parent), child, ConditionalBatchNorm(net.get_submodule(name), classes))

    def forward(self, z: Noise, y: Labels) -> Samples:  # type: ignore[override]
        norms = [module for module in self.modules() if isinstance(module, ConditionalBatchNorm)]
        for norm in norms:
            norm.labels = y
        try:
            return self.net(z)
        finally:
            for norm in norms:
                norm.labels = None


class LabelCondition(Condition):
    """A condition that says how G learns the class; how D does is a subclass's.

    Args:
        generator: "embedding" or "batch_norm".
        embedding: the dimension of the embedding.
    """

    takes_labels = True

    def __init__(self, generator: GeneratorCondition = "embedding", embedding: int = 32):
        if generator not in ("embedding", "batch_norm"):
            raise UserError(f"condition.generator={generator} is not known. There are: batch_norm, embedding.")
        if embedding < 1:
            raise UserError(f"condition.embedding={embedding} must be at least 1.")
        self.kind, self.embedding = generator, embedding

    def generator(self, build: Callable[..., Any], classes: int | None) -> Generator:
        assert classes is not None
        if self.kind == "batch_norm":
            return BatchNormGenerator(build(), classes)
        return EmbeddingGenerator(build(self.embedding), classes, self.embedding)
