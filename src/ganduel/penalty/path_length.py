r"""Path length regularisation: a step of any direction in the noise changes the image by the same amount.

    P = weight · E[(‖Jᵀv‖ − a)²]       J = ∂G/∂z,  v ~ N(0, 1/pixels) for each value,  z as in training

a is the moving average of ‖Jᵀv‖, which is E‖Jᵀv‖ in the end: with an orthogonal J of constant scale P is nearly 0. The
paper takes the slope in w, the output of StyleGAN2's mapping network, and this in the noise of any G. The average is in
the checkpoint.
Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", section 3.2 and appendix B
(arXiv:1912.04958), where it is due in every eighth iteration; weight 2 and every fourth are of its published code, in
which ‖·‖² is a mean over the layers that w goes to.
"""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor, nn

from ganduel.batch import Minibatch
from ganduel.errors import UserError
from ganduel.model.base import conditioned, uses_batch_norm
from ganduel.penalty.base import Penalty, check_weight
from ganduel.ranks import mean_over_ranks
from ganduel.types import Samples, Scalar


class PathLength(Penalty):
    """The variance of the length of G's slope in a random direction of the image."""

    average: Tensor

    def __init__(self, weight: float = 2.0, decay: float = 0.99, every: int = 4):
        super().__init__(every)
        check_weight(self, weight=weight)
        if not 0 <= decay < 1:
            raise UserError(f"PathLength: decay={decay} must be at least 0 and below 1.")
        self.weight, self.decay = weight, decay
        self.register_buffer("average", torch.zeros(()))

    def check(self, network: nn.Module, shape: Sequence[int]) -> None:
        if uses_batch_norm(network):
            raise UserError(
                "PathLength needs G's slope in each noise, and a BatchNorm in G mixes the samples. Use norm=layer or "
                "norm=none in G, or penalty_g=[]."
            )

    def forward(self, net: Callable, b: Minibatch, fake: Samples) -> Scalar:
        v = b.draws.normal(fake) / prod(fake.shape[2:]) ** 0.5
        lengths = torch.func.grad(lambda z: (conditioned(net, z, b.fake_labels) * v).sum())(b.noise).norm(dim=1)
        self.average.lerp_(mean_over_ranks(lengths.mean()), 1 - self.decay)
        return self.weight * (lengths - self.average).square().mean()
