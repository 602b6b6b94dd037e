"""D's features: what its last linear layer is given."""

from typing import Any

from torch import Tensor, nn

from ganduel.errors import UserError


class Tap(nn.Module):
    """A layer that keeps what it was given, until it is taken."""

    seen: Tensor | None = None

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return self.layer(x)

    def take(self) -> Tensor:
        """What the layer was given in the last pass."""
        seen, self.seen = self.seen, None
        assert seen is not None
        return seen

    @property
    def width(self) -> int:
        """The number of features that the layer takes."""
        layer: Any = self.layer
        return int(layer.in_features)


def tap_head(net: nn.Module, condition: str) -> Tap:
    """A tap on D's last layer with one output, put into the network in its place.

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
    tap = Tap(net.get_submodule(names[-1]))
    setattr(net.get_submodule(parent), child, tap)
    return tap
