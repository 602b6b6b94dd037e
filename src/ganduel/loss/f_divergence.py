r"""f-GAN: D's best loss is any chosen f-divergence between the data and what G generates.

    L_D = −E[T(a)] + E[f*(T(b))]        a, b = logits; T = g(logit), g the output activation of the divergence
    L_G = −E[f*(T(b))]                  the minimax game; or −E[T(b)], with nonsaturating=true

    D_f(p ‖ q) = ∫ q f(p/q)  =  max over T of E_p[T] − E_q[f*(T)]  =  −L_D for the best D, where T = f′(p/q)

    divergence          f(u)                               g(v)                  f*(g(v))             best v, r = p/q
    kl                  u log u                            v                     exp(v − 1)           1 + log r
    reverse_kl          −log u                             −exp(−v)              v − 1                log r
    pearson             (u − 1)²                           v                     v²/4 + v             2 (r − 1)
    squared_hellinger   (√u − 1)²                          1 − exp(−v)           exp(v) − 1           ½ log r
    jensen_shannon      u log u − (u + 1) log((u + 1)/2)   log 2 − softplus(−v)  softplus(v) − log 2  log r

D_f is never negative, and 0 with p_g = p_data: L_D = 0 there, and each logit is the best one at r = 1, the `threshold`
(f′(1) in the paper): 1 for kl, 0 for the others. In nats, but for pearson and squared_hellinger, which have no unit.
jensen_shannon is twice the JSD in [0, log 2], and its game is that of the saturating or the non-saturating loss. exp
overflows for logits beyond 88 in float32: of kl and squared_hellinger for generated samples, of reverse_kl and
squared_hellinger below −88 for real ones; such a run ends as diverged.
Source: Nowozin, Cseke, Tomioka 2016, "f-GAN: Training Generative Neural Samplers using Variational Divergence
Minimization", equations 4 to 7, tables 1 and 2 (arXiv:1606.00709).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus

from ganduel.errors import UserError, nearest
from ganduel.loss.base import LogitLoss


@dataclass(frozen=True)
class Form:
    """A row of the table: T and f*(T) as functions of a logit, and the best logit where p = q."""

    t: Callable[[Tensor], Tensor]
    conjugate: Callable[[Tensor], Tensor]
    threshold: float = 0.0
    log_odds: bool = False  # whether the best logit is log p/q


FORMS: dict[str, Form] = {
    "kl": Form(lambda v: v, lambda v: (v - 1).exp(), threshold=1.0),
    "reverse_kl": Form(lambda v: -(-v).exp(), lambda v: v - 1, log_odds=True),
    "pearson": Form(lambda v: v, lambda v: v.square() / 4 + v),
    "squared_hellinger": Form(lambda v: -(-v).expm1(), lambda v: v.expm1()),
    "jensen_shannon": Form(lambda v: math.log(2) - softplus(-v), lambda v: softplus(v) - math.log(2), log_odds=True),
}


class FDivergence(LogitLoss):
    """min −E[f*(T(G(z)))], or −E[T(G(z))].

    Args:
        divergence: a name of the table.
        nonsaturating: whether G raises T(G(z)) itself.
    """

    def __init__(self, divergence: str = "kl", nonsaturating: bool = False):
        if divergence not in FORMS:
            raise UserError(f"loss.divergence={divergence} is not known. {nearest(divergence, FORMS)}")
        self.divergence, self.nonsaturating, self.f = divergence, nonsaturating, FORMS[divergence]
        self.threshold, self.log_odds = self.f.threshold, self.f.log_odds

    def d_real(self, a: Tensor) -> Tensor:
        return -self.f.t(a)

    def d_fake(self, b: Tensor) -> Tensor:
        return self.f.conjugate(b)

    def g_fake(self, b: Tensor) -> Tensor:
        return -self.f.t(b) if self.nonsaturating else -self.f.conjugate(b)
