r"""A rate that decays while the momentum grows, as Goodfellow et al. 2014 trained.

    lr(t)       = max(lr(0) / decay^t, floor)
    momentum(t) = m + (momentum − m) · clamp((t − start) / (saturate − start), 0, 1)

t is the iteration, 0 for the first; lr(0) and m are the optimizer's own. With the defaults, 500 iterations an epoch and
lr(0) = 0.1: at t = 125,000, after 250 epochs, lr = 0.0607 and the momentum has reached 0.7.
Source: mnist.yaml of github.com/goodfeli/adversarial at 1720041, with ExponentialDecay and MomentumAdjustor of
github.com/lisa-lab/pylearn2 at af81e5c; there the momentum moves once an epoch, here by the same line each iteration.
"""

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ganduel.errors import UserError


class DecayAndMomentum(LRScheduler):
    """Divides the learning rate by a constant each iteration and ramps the momentum linearly.

    Args:
        optimizer: one with a momentum, such as SGD.
        decay: what the rate is divided by.
        floor: the least rate.
        momentum: the momentum at the end of the ramp.
        start: the iteration at which the ramp begins.
        saturate: the iteration at which it ends.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        decay: float = 1.000004,
        floor: float = 1e-6,
        momentum: float = 0.7,
        start: int = 500,
        saturate: int = 125_000,
    ):
        if "momentum" not in optimizer.defaults:
            raise UserError(
                f"a schedule of the momentum needs one: {type(optimizer).__name__} has none. Use optimizer=sgd."
            )
        if not decay > 0:
            raise UserError(f"a rate cannot be divided by decay={decay}. It is 1.000004 in the paper's code.")
        if not 0 <= start < saturate:
            raise UserError(f"the momentum cannot grow from iteration start={start} to saturate={saturate}.")
        self.decay, self.floor, self.momentum, self.start, self.saturate = decay, floor, momentum, start, saturate
        self.base_momenta = [
            group.setdefault("initial_momentum", group["momentum"]) for group in optimizer.param_groups
        ]
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        """The rates at this iteration; the momenta are set beside them."""
        grown = min(max((self.last_epoch - self.start) / (self.saturate - self.start), 0.0), 1.0)
        for group, first in zip(self.optimizer.param_groups, self.base_momenta, strict=True):
            group["momentum"] = (1 - grown) * first + grown * self.momentum
        return [max(float(lr) * self.decay**-self.last_epoch, self.floor) for lr in self.base_lrs]
