r"""The non-saturating loss: G raises log D(G(z)) where the minimax game has it lower log(1 − D(G(z))).

    L_D = E[softplus(−a)] + E[softplus(b)]            a, b = logits of real and generated samples
    L_G = −E[log D(G(z))] = E[softplus(−b)]           in nats, never negative; D(x) = sigmoid(logit)

With p_g = p_data and the best D every logit is 0: L_D = 2 log 2, L_G = log 2. The slope ∂L_G/∂b is −(1 − D) per sample,
so it is full where D is sure of its case (b → −∞). The fixed point is that of the saturating form.
Source: Goodfellow et al. 2014, "Generative Adversarial Nets", section 3 (arXiv:1406.2661).
"""

from torch import Tensor
from torch.nn.functional import softplus

from ganduel.loss.base import CrossEntropyLoss


class NonSaturating(CrossEntropyLoss):
    """min −E[log D(G(z))]."""

    def g_fake(self, b: Tensor) -> Tensor:
        return softplus(-b)  # exact where sigmoid has already rounded to 0
