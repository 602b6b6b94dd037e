"""What a loss form is: the two losses of the duel, as functions of D's logits.

    a = logit of a real sample, b = logit of a generated one; D(x) = sigmoid(logit)

D and G each minimise their own loss. Values are in nats, averaged over the batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganduel.errors import UserError
from ganduel.types import Logits, Scalar

GRID = torch.arange(-16.0, 16.25, 0.25, dtype=torch.float64)  # of logits, for readers without torch


class Loss(ABC):
    """The losses of both players."""

    generator_uses_real: bool = False  # a relativistic form sets it; others are spared a pass of D over real samples
    threshold: float | None = None  # the logit above which D takes a sample for real; None: it makes no such decision
    outputs: int = 1  # of D per sample that it reads: the logit, and what else a condition adds to it
    log_odds: bool = False  # whether a logit is the log-odds of being real, so that D(x) = sigmoid(logit)

    @property
    def per_logit(self) -> "LogitLoss | None":
        """What G loses by its logits, where each has a term of its own, which a figure can draw; None: it has not."""
        return None

    def check(self, discriminator: nn.Module, penalties: Collection[nn.Module]) -> None:  # noqa: B027 - most need none
        """Refuse or warn of a D that the loss makes no sense for, or of one without these penalties."""

    def logits(self, output: Tensor) -> Tensor:
        """The logits in D's output, (…, outputs), where the loss reads more than these."""
        return output

    @abstractmethod
    def discriminator(self, real: Logits, fake: Logits) -> Scalar:
        """L_D, which D minimises."""

    @abstractmethod
    def generator(self, real: Logits | None, fake: Logits) -> Scalar:
        """L_G, which G minimises; `real` is None unless `generator_uses_real`."""

    def statistics(self, real: Logits, fake: Logits) -> dict[str, Scalar]:
        """What the logits of an update of D say, under the keys of a row; a subclass adds what its logits mean.

        logit/real, logit/fake                mean logits; …_std their spread
        d/accuracy_real, d/accuracy_fake      share of D's right answers, with a `threshold`
        d/real, d/fake                        mean D(x) and D(G(z)), with `log_odds`; …_std their spread
        """
        values = {}
        for name, logits in (("real", real), ("fake", fake)):
            values |= {f"logit/{name}": logits.mean(), f"logit/{name}_std": logits.std(correction=0)}
        if self.threshold is not None:
            values["d/accuracy_real"] = (real > self.threshold).float().mean()
            values["d/accuracy_fake"] = (fake < self.threshold).float().mean()
        if self.log_odds:
            for name, d in (("real", real.sigmoid()), ("fake", fake.sigmoid())):
                values |= {f"d/{name}": d.mean(), f"d/{name}_std": d.std(correction=0)}
        return values


class LogitLoss(Loss):
    """A loss form in which each logit has its own term: L_D = E[d_real(a)] + E[d_fake(b)], L_G = E[g_fake(b)].

    The three functions work elementwise on tensors of any shape, so that a figure can draw them.
    """

    @property
    def per_logit(self) -> "LogitLoss":
        return self

    @abstractmethod
    def d_real(self, a: Tensor) -> Tensor:
        """D's term for a real sample with logit a."""

    @abstractmethod
    def d_fake(self, b: Tensor) -> Tensor:
        """D's term for a generated sample with logit b."""

    @abstractmethod
    def g_fake(self, b: Tensor) -> Tensor:
        """G's term for a generated sample with logit b."""

    def curve(self, b: Tensor) -> tuple[Tensor, Tensor]:
        """G's term at the logits b, and its slope there."""
        with torch.enable_grad():
            b = b.detach().requires_grad_()
            value = self.g_fake(b)
            (slope,) = torch.autograd.grad(value.sum(), b)
        return value.detach(), slope

    def form(self) -> dict[str, Any]:
        """G's term and its slope on a grid of logits, under the name of the class: what loss_form.json holds."""
        value, slope = self.curve(GRID)
        curves = {"logit": GRID.tolist(), "g": value.tolist(), "g_slope": slope.tolist()}
        return {"name": type(self).__name__, "log_odds": self.log_odds, **curves}

    def discriminator(self, real: Logits, fake: Logits) -> Scalar:
        return self.d_real(real).mean() + self.d_fake(fake).mean()

    def generator(self, real: Logits | None, fake: Logits) -> Scalar:
        return self.g_fake(fake).mean()


class CrossEntropyLoss(LogitLoss):
    """D as in both forms of Goodfellow et al. 2014: binary cross-entropy, real → 1 and generated → 0.

        L_D = −E[log D(x)] − E[log(1 − D(G(z)))] = E[softplus(−a)] + E[softplus(b)]

    It is 2 log 2 where D answers 1/2 to everything, and 2 log 2 − 2 JSD(p_data, p_g) for the best D (section 4.1).
    A logit is the log-odds of being real: D(x) = sigmoid(logit), 1/2 at 0.

    With one-sided label smoothing real samples go to α < 1 (Salimans et al. 2016, "Improved techniques for training
    GANs", section 3.4, arXiv:1606.03498): −α log D(x) − (1 − α) log(1 − D(x)) = softplus(−a) + (1 − α) a. The best D is
    then α p_data / (p_data + p_g), which is below 1 where there is nothing generated. Generated samples still go to 0.

    Args:
        real_target: α, above 1/2 and at most 1.
    """

    threshold = 0.0
    log_odds = True
    real_target: float = 1.0

    def __init__(self, real_target: float = 1.0):
        if not 0.5 < real_target <= 1:
            raise UserError(f"loss.real_target={real_target} must be above 0.5 and at most 1. Salimans et al. use 0.9.")
        self.real_target = real_target

    def d_real(self, a: Tensor) -> Tensor:
        return softplus(-a) if self.real_target == 1 else softplus(-a) + (1 - self.real_target) * a

    def d_fake(self, b: Tensor) -> Tensor:
        return softplus(b)
