r"""The saturating loss, or minimax: G lowers the very value that D raises.

    L_D = E[softplus(−a)] + E[softplus(b)]            a, b = logits of real and generated samples
    L_G = E[log(1 − D(G(z)))] = −E[softplus(b)]       in nats, never positive; D(x) = sigmoid(logit)

With p_g = p_data and the best D every logit is 0: L_D = 2 log 2, L_G = −log 2. The slope ∂L_G/∂b is −D per sample, so
it dies where D is sure of its case (b → −∞): the loss saturates.
Source: Goodfellow et al. 2014, "Generative Adversarial Nets", equation 1 and Algorithm 1 (arXiv:1406.2661).
"""

from torch import Tensor
from torch.nn.functional import softplus

from ganduel.loss.base import CrossEntropyLoss


class Saturating(CrossEntropyLoss):
    """min E[log(1 − D(G(z)))]."""

    def g_fake(self, b: Tensor) -> Tensor:
        return -softplus(b)
