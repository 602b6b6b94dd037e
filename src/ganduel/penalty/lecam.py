r"""LeCam: D's output for samples of one kind is not to leave its usual output for those of the other.

    P = weight · (E[(D(x) − α_fake)²] + E[(D(G(z)) − α_real)²])       D(·) here the logit
    α_real, α_fake = moving averages of D's mean logits of real and of generated samples, weighted by decay^age

It keeps D from growing sure on few data. With a Wasserstein loss the game is then that of the LeCam divergence, where
α_real = −α_fake is constant. The averages are bias-corrected as Adam's are, and in the checkpoint. It takes one more
pass of D over real and generated samples.
Source: Tseng et al. 2021, "Regularizing generative adversarial networks under limited data" (arXiv:2104.03310). In its
published code each difference goes through a relu; it has weight 0.3 and decay 0.9, from iteration 1,000 on, for BigGAN
on CIFAR, and decay 0.99 for StyleGAN2, with weights as small as 1e-6.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ganduel.batch import Minibatch
from ganduel.errors import UserError
from ganduel.penalty.base import Penalty, check_weight
from ganduel.ranks import mean_over_ranks
from ganduel.types import Samples, Scalar


class LeCam(Penalty):
    """The squared distance of D's logits from the average logit of the other kind."""

    sums: Tensor  # of past mean logits of real and of generated samples, weighted
    weights: Tensor  # the sum of the weights

    def __init__(self, weight: float = 0.3, decay: float = 0.99, every: int = 1):
        super().__init__(every)
        check_weight(self, weight=weight)
        if not 0 <= decay < 1:
            raise UserError(f"LeCam: decay={decay} must be at least 0 and below 1.")
        self.weight, self.decay = weight, decay
        self.register_buffer("sums", torch.zeros(2))
        self.register_buffer("weights", torch.zeros(()))

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        real_logits, fake_logits = net(b.real, b.labels), net(fake, b.fake_labels)
        self.sums.mul_(self.decay).add_(mean_over_ranks(torch.stack([real_logits.mean(), fake_logits.mean()])))
        self.weights.mul_(self.decay).add_(1)
        real_average, fake_average = self.sums / self.weights
        return self.weight * ((real_logits - fake_average).square() + (fake_logits - real_average).square()).mean()
