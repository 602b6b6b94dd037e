"""The last linear layer of a D, taken off: what comes before it are D's features."""

from typing import Any

from torch import nn

from ganduel.errors import UserError


def take_off_head(net: nn.Module, condition: str) -> nn.Module:
    """D's last layer with one output; in its place the network has the identity, and so returns its features.

    Raises:
        UserError: D does not end in such a layer.
    """
    names = [name for name, module in net.named_modules() if getattr(module, "out_features", None) == 1]
    if not names:
        raise UserError(
            f"condition={condition} needs a D that ends in a linear layer with one output, and "
            f"{type(net).__name__} has none. Use condition=concat."
        )
    parent, _, child = names[-1].rpartition(".")
    head = net.get_submodule(names[-1])
    setattr(net.get_submodule(parent), child, nn.Identity())
    return head


def width_of(head: Any) -> int:
    """The number of features that it takes."""
    return int(head.in_features)
