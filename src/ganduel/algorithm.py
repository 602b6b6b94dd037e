"""Algorithm 1 of Goodfellow et al. 2014: k updates of D, each on fresh data and noise, then one of G on fresh noise.

It is stated once, for one duel (ganduel.gan) and for many whose tensors are stacked (ganduel.population.stack). All of
an iteration is a pure function of the weights, the seed and the iteration's number t: data from (seed, t·k + j), noise
from (seed, t), so that a resumed run goes on as if it had never stopped.
Source: "Generative Adversarial Nets", Algorithm 1 (arXiv:1406.2661).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ganduel.engine.graph import GraphedUpdates
from ganduel.engine.recorder import Beside, recording
from ganduel.errors import UserError


class Algorithm1(ABC):
    """The order of an iteration; what each part of it is, is up to the class that inherits it.

    Tensors are those of one duel, or have a dimension in front that counts duels.

    Attributes:
        generator: G.
        discriminator: D.
        loss: what each of the two minimises.
        k: updates of D an iteration.
        one_pass: whether D may see real and generated samples in one minibatch.
        axis: the dimension that counts the samples of a minibatch.
        graphed: what does the updates in the place of `update`, as one launch (ganduel.engine.graph); None: none.
    """

    generator: Any
    discriminator: nn.Module
    loss: Any
    k: int
    one_pass: bool
    axis: int = 0
    graphed: GraphedUpdates | None = None

    @abstractmethod
    def noise(self, t: int) -> Tensor:
        """The noise of the k + 1 minibatches of iteration t, the minibatches in front."""

    @abstractmethod
    def minibatch(self, position: int) -> Tensor:
        """Real minibatch number `position`, counted over the whole run."""

    @abstractmethod
    def reseed(self, t: int, update: int) -> None:
        """Tell layers such as Dropout which of the iteration's updates begins."""

    @abstractmethod
    def penalise(self, real: Tensor, fake: Tensor) -> Tensor:
        """What D's loss gains."""

    @abstractmethod
    def descend(self, net: nn.Module, loss: Tensor) -> Tensor:
        """One update of a network down the gradient of its loss; returns the gradient's norm, before any clipping."""

    @abstractmethod
    def follow(self, t: int) -> None:
        """What comes after G's update: its average, the learning rates."""

    def iterate(self, t: int) -> dict[str, Tensor]:
        """Iteration t; returns losses, norms of gradients and logits, of the last update of D and that of G."""
        noise, reals = self.noise(t), [self.minibatch(t * self.k + j) for j in range(self.k)]
        outputs = self.update(t, noise, reals) if self.graphed is None else self.graphed(noise, reals)
        self.follow(t)
        return outputs

    def update(self, t: int, noise: Tensor, reals: Sequence[Tensor]) -> dict[str, Tensor]:
        """The k updates of D and that of G, on what has been drawn for them."""
        ahead, aside = None, Beside()
        for j, real in enumerate(reals):
            self.reseed(t, j)
            with torch.no_grad():  # D's update never reaches G's weights
                fake = self.generator(noise[j])
            if j == self.k - 1 and recording():
                with aside.fork():  # G stays as it is until its own update, whose samples D's need not wait for
                    ahead = self.generator(noise[self.k])
            on_real, on_fake = self.discriminate(real, fake)
            loss_d = self.loss.discriminator(on_real, on_fake)
            penalty = self.penalise(real, fake)
            norm_d = self.descend(self.discriminator, loss_d + penalty)
        self.reseed(t, self.k)
        with frozen(self.discriminator):
            aside.join()
            on_fake_g = self.logits(self.generator(noise[self.k]) if ahead is None else ahead)
            on_real_g = self.logits(reals[-1]) if self.loss.generator_uses_real else None
            loss_g = self.loss.generator(on_real_g, on_fake_g)
            norm_g = self.descend(self.generator, loss_g)
        return {
            "loss/d": loss_d.detach(),
            "loss/g": loss_g.detach(),
            "loss/penalty": penalty.detach(),
            "grad/norm_d": norm_d,
            "grad/norm_g": norm_g,
            "logit/real": on_real.detach(),
            "logit/fake": on_fake.detach(),
            "logit/fake_g": on_fake_g.detach(),
        }

    def logits(self, x: Tensor) -> Tensor:
        """D's logits in float32 at least, whatever autocast makes of the networks: the losses are taken on these."""
        logits = self.discriminator(x)
        if logits.ndim != self.axis + 1:
            shape = tuple(logits.shape[self.axis :])
            raise UserError(f"D must give one logit a sample, shape (batch,), not {shape}. Squeeze it.")
        return full(logits)

    def discriminate(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """D's logits of both minibatches: in one pass, unless a BatchNorm would mix their statistics."""
        if self.one_pass:
            both = torch.cat([real.to(fake.dtype), fake], self.axis)  # autocast would widen it, and narrow it again
            on_real, on_fake = self.logits(both).chunk(2, self.axis)
            return on_real, on_fake
        return self.logits(real), self.logits(fake)


def full(x: Tensor) -> Tensor:
    """The tensor in float32, unless it is in float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Gradients pass through the network inside, and none is kept for its weights."""
    trained = [p for p in net.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
