"""No augmentation: D sees samples as they are, as in Algorithm 1 of Goodfellow et al. 2014."""

from ganduel.augment.base import Augment


class NoAugment(Augment):
    """x ↦ x."""
