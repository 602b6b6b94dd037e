"""No condition: labels of the data are not used, but by networks that take them by themselves."""

from ganduel.condition.base import Condition


class NoCondition(Condition):
    """G(z), D(x)."""
