"""What the two networks are: G maps noise to samples, D maps samples to one logit each; with classes, both see labels.

    G(z) or G(z, y)     z (batch, noise_dim), y (batch,)   → samples (batch, *shape)
    D(x) or D(x, y)     x (batch, *shape), y (batch,)      → logits (batch,)

Any `torch.nn.Module` with these signatures will do. A network that takes labels says of how many classes, in an
attribute `classes`. G also says what noise it takes.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ganduel.errors import UserError, summary_of
from ganduel.rng import Draws, KeyedRandom, all_seeded
from ganduel.types import Logits, Noise, Samples

Net = TypeVar("Net", bound=nn.Module)
NoiseDistribution = Literal["normal", "uniform"]
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class Generator(nn.Module, ABC):
    """G(z): noise (batch, noise_dim) → samples (batch, *shape).

    Args:
        noise_dim: the dimension of z.
        noise: p(z), "normal" for N(0, 1) or "uniform" for U(−√3, √3) in each coordinate: both of unit variance.

    Attributes:
        classes: of the labels that `forward` takes as its second argument; None: it takes none.
        class_dim: how many of the last dimensions of z say the class, where a condition puts it there.
        truncation: the largest |z| in each coordinate; None: any.
    """

    classes: int | None = None
    class_dim: int = 0
    truncation: float | None = None

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
        if self.truncation is not None:
            z = torch.empty(n, self.noise_dim, device=rng.device)
            return nn.init.trunc_normal_(z, a=-self.truncation, b=self.truncation, generator=rng)
        if self.noise == "normal":
            return torch.randn(n, self.noise_dim, generator=rng, device=rng.device)
        bound = math.sqrt(3)
        return torch.empty(n, self.noise_dim, device=rng.device).uniform_(-bound, bound, generator=rng)

    def truncated(self, truncation: float, z: Noise | None = None) -> "Generator":
        """A copy whose samples are more typical and less varied, the more so the nearer `truncation` is to 0.

        Its z are those of which no coordinate is beyond ±truncation: Brock et al. 2019, "Large scale GAN training",
        section 3.1 (arXiv:1809.11096), drew those coordinates again. A network that has another way overrides this.

        Args:
            truncation: the bound; 2 cuts off one coordinate in 22.
            z: what the network is given as noise, many of them, for one that needs to know; None: draws of its own.
        """
        if self.noise != "normal" or type(self).draw is not Generator.draw:
            kind = "uniform" if self.noise == "uniform" else "its own"
            raise UserError(f"truncation={truncation}: G's noise is {kind}; only normal noise has tails to cut off.")
        if not truncation > 0:
            raise UserError(f"truncation={truncation}: the largest |z| must be positive. Try 1.")
        copy = copied(self)
        copy.truncation = truncation
        return copy

    @abstractmethod
    def forward(self, z: Noise) -> Samples: ...


class Discriminator(nn.Module, ABC):
    """D: samples (batch, *shape) → logits (batch,); sigmoid(logit) is the probability of being real.

    Attributes:
        classes: of the labels that `forward` takes as its second argument; None: it takes none.
        mixes_samples: whether a sample's logit depends on the others of its batch; None: it is tried out.
        pack: consecutive samples that have one logit together (ganduel.model.packing).
    """

    classes: int | None = None
    mixes_samples: bool | None = None
    pack: int = 1

    @abstractmethod
    def forward(self, x: Samples) -> Logits: ...


def conditioned(net: Callable[..., Any], x: Tensor, y: Tensor | None) -> Tensor:
    """What a network makes of noise or samples and their labels; without labels it gets one argument."""
    return net(x) if y is None else net(x, y)


def as_logits(output: Tensor, outputs: int = 1, name: str = "") -> Tensor:
    """D's output, checked and in float32 at least: logits (batch,), or (batch, outputs) with these in front.

    Args:
        output: what D has returned.
        outputs: how many numbers per sample the loss reads.
        name: that of D's class.
    """
    if not isinstance(output, Tensor) or output.ndim == 0 or output.shape[1:] != (() if outputs == 1 else (outputs,)):
        kind = f"{tuple(output.shape)}. Squeeze it" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise UserError(f"D{name and f' ({name})'} must give one logit per sample, shape (batch,), not {kind}.")
    return at_least_float32(output)


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor in float32, unless it is in float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def check_parts(gan: Any) -> None:
    """Refuse parts of a GAN that fit neither each other nor the batches that they are to be trained on."""
    generator, discriminator, data = gan.generator, gan.discriminator, gan.batches.data
    gan.loss.check(discriminator, gan.penalties_d.values())
    gan.augment.check(gan.loss, data.shape)
    for network, penalties in ((discriminator, gan.penalties_d), (generator, gan.penalties_g)):
        for penalty in penalties.values():
            penalty.check(network, data.shape)
    noise = gan.batches.draw_noise(gan.batches.batch_size, torch.Generator())
    check_labels(generator, discriminator, data.classes)
    check_outputs(generator, discriminator, noise, data.shape, data.classes, gan.loss.outputs)
    gan.opponent.check(gan)


def check_labels(generator: nn.Module, discriminator: nn.Module, classes: int | None) -> None:
    """Refuse networks that take labels of data without classes, and the reverse."""
    for name, net in (("G", generator), ("D", discriminator)):
        known = getattr(net, "classes", None)
        if known == classes:
            continue
        if classes is None:
            raise UserError(f"{name} ({type(net).__name__}) takes labels of {known} classes, and the data have none.")
        if known is None:
            raise UserError(f"the data have labels of {classes} classes, and {name} ({type(net).__name__}) takes none.")
        raise UserError(f"{name} ({type(net).__name__}) takes labels of {known} classes, and the data have {classes}.")


def check_outputs(
    generator: nn.Module,
    discriminator: nn.Module,
    noise: Noise,
    shape: Sequence[int],
    classes: int | None = None,
    outputs: int = 1,
) -> None:
    """Refuse a G whose samples are not like the data's, and a D that does not give logits."""
    labels = labels_for_trial(len(noise), classes)
    fake = outputs_in_training(generator, "G", noise, labels)
    kind = fake.shape[1:] if isinstance(fake, Tensor) else type(fake).__name__
    if kind != tuple(shape):
        kind = f"of shape {tuple(kind)}" if isinstance(fake, Tensor) else f"as a {kind}"
        raise UserError(f"G ({type(generator).__name__}) gives samples {kind}, and the data's are of {tuple(shape)}.")
    as_logits(outputs_in_training(discriminator, "D", fake, labels), outputs, type(discriminator).__name__)


def labels_for_trial(n: int, classes: int | None) -> Tensor | None:
    """One of each class in turn; None without classes."""
    return None if classes is None else torch.arange(n) % classes


def outputs_in_training(net: nn.Module, name: str, x: Tensor, y: Tensor | None) -> Any:
    """What a copy of the network makes of a minibatch: layers may change in a pass, and draw at random."""
    if any(map(is_lazy, (*net.parameters(), *net.buffers()))):
        raise UserError(f"{name} ({type(net).__name__}) has lazy layers without a shape. Call it once before.")
    copy, like = copied(net), next(net.parameters(), torch.empty(0))
    draws = Draws(like.device, len(x))
    draws.seed("trial")
    for layer in keyed_layers(copy):
        layer.draws = draws
    try:
        with torch.no_grad(), all_seeded("trial"):
            return conditioned(copy, x.to(like), None if y is None else y.to(like.device))
    except UserError:
        raise
    except Exception as error:
        line = f"{name} ({type(net).__name__}) fails on a minibatch of shape {tuple(x.shape)}: {summary_of(error)}."
        raise UserError(line + (" Try a larger batch_size, or fewer ranks." if len(x) == 1 else "")) from error


def copied(net: Net) -> Net:
    """A copy of a network, for its average or for a trial."""
    try:
        return deepcopy(net)
    except Exception as error:
        reason = summary_of(error).partition(". ")[0]
        hint = " Use torch.nn.utils.parametrizations.weight_norm." if "weight_norm" in str(error) else ""
        raise UserError(f"{type(net).__name__} cannot be copied for its average or a trial: {reason}.{hint}") from error


@torch.no_grad()
def initialise_lazy_layers(net: nn.Module, x: Tensor, y: Tensor | None) -> None:
    """Give layers without a shape theirs, and their initial weights, by one pass in evaluation mode."""
    if not any(map(is_lazy, (*net.parameters(), *net.buffers()))):
        return
    modes = [(module, module.training) for module in net.modules()]
    conditioned(net.eval(), x, y)
    for module, training in modes:
        module.training = training


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
    n, stream = 8, torch.Generator().manual_seed(0)
    first, second, third = (torch.randn(n, *shape, generator=stream) for _ in range(3))
    y = labels_for_trial(2 * n, classes)

    def logits(others: Tensor) -> Tensor:
        return outputs_in_training(discriminator, "D", torch.cat([first, others]), y)[:n]

    try:
        return not torch.allclose(logits(second), logits(third), rtol=1e-4, atol=1e-5, equal_nan=True)
    except UserError:  # it takes minibatches of some sizes alone, as one that packs samples does
        return True
