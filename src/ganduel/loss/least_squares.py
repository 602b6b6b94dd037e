r"""The least-squares loss: D regresses real samples to one number and generated ones to another, G to a third.

    L_D = ½ E[(a − real)²] + ½ E[(b − fake)²]       a, b = D's output for real and generated samples, any number
    L_G = ½ E[(b − generator)²]                     never negative; the targets are b, a and c in the paper

D's output is a regression and no log-odds: the best D is (real · p_data + fake · p_g) / (p_data + p_g). With
p_g = p_data it is the middle of the two targets: L_D = 1/4 and L_G = 1/8 for the targets 1, 0 and 1. The slope ∂L_G/∂b
is b − generator per sample: it grows with the distance on either side, for samples too that D takes for more than real.
With generator − fake = 1 and real − fake = 2, as in (1, −1, 0), 2 L_G + E[(a − generator)²], a term more that G does
not change, is at the best D the Pearson χ² divergence of p_data + p_g and 2 p_g.
Source: Mao et al. 2017, "Least Squares Generative Adversarial Networks" (arXiv:1611.04076).
"""

from torch import Tensor

from ganduel.errors import UserError
from ganduel.loss.base import LogitLoss


class LeastSquares(LogitLoss):
    """min ½ E[(D(G(z)) − generator)²].

    Args:
        real: what D is to give for a real sample.
        fake: what D is to give for a generated sample.
        generator: what G wants D to give for a generated sample.
    """

    def __init__(self, real: float = 1.0, fake: float = 0.0, generator: float = 1.0):
        if not fake < real:
            raise UserError(f"loss.fake={fake} must be below loss.real={real}: D is higher for real samples.")
        self.real, self.fake, self.target = real, fake, generator
        self.threshold = (real + fake) / 2

    def d_real(self, a: Tensor) -> Tensor:
        return (a - self.real).square() / 2

    def d_fake(self, b: Tensor) -> Tensor:
        return (b - self.fake).square() / 2

    def g_fake(self, b: Tensor) -> Tensor:
        return (b - self.target).square() / 2
