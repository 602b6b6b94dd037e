"""What the networks and their weights say.

eps of a norm          0.01 or more: torch's norms take eps as their second argument, where others take momentum, as
                       in BatchNorm2d(64, 0.8), which divides by √(variance + 0.8)
an average's buffers   BatchNorm's statistics have not followed those of G, and belong to other weights
out of reach           G's samples end at 0 or ±1 whatever its noise, and data lie beyond
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ganduel.doctor.base import Finding
from ganduel.image_grid import generate
from ganduel.model.base import BATCH_NORMS, Generator

NORMS = (*BATCH_NORMS, nn.GroupNorm, nn.LayerNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
LARGE_EPS = 0.01  # 1e-5 by default; papers go up to 1e-3
FAR = 100.0  # times the noise, at which what is not bounded is far outside
ROUNDING = 1e-3
BEYOND = 0.01  # the share of the data's values that makes a fault


def large_eps(net: nn.Module, name: str) -> list[Finding]:
    """Norms of a network of that name, D or G, whose eps must be a mistake."""
    large = [
        (path, layer) for path, layer in net.named_modules() if isinstance(layer, NORMS) and layer.eps >= LARGE_EPS
    ]
    if not large:
        return []
    path, layer = large[0]
    kind, more = type(layer).__name__, f" and {len(large) - 1} more norms" if len(large) > 1 else ""
    evidence = f"{kind} {path} of {name} has eps={layer.eps:g}{more}"
    advice = f"The second argument is eps: {kind}(width, momentum={layer.eps:g}), or {kind}(width)."
    return [Finding("eps taken for momentum", evidence, advice)]


def stale_buffers(weights: Mapping[str, Tensor]) -> list[Finding]:
    """Of a checkpoint's state: BatchNorms of the average that saw less than half of the batches that G's have."""
    counts = {key: value for key, value in weights.items() if key.endswith("num_batches_tracked")}
    for key, seen in counts.items():
        average = counts.get(key.replace("generator.", "ema.net.", 1)) if key.startswith("generator.") else None
        if average is not None and 2 * int(average) < int(seen):
            layer = key.removeprefix("generator.").removesuffix(".num_batches_tracked")
            evidence = (
                f"BatchNorm {layer} has statistics of {int(seen):,} batches in G, of {int(average):,} in its average"
            )
            advice = "Copy the buffers with each update of the average, as ganduel.ema.EMA does; ganduel sample --live."
            return [Finding("average without BatchNorm's buffers", evidence, advice)]
    return []


def out_of_reach(generator: Generator, real: Tensor, is_image: bool) -> list[Finding]:
    """Real samples, as D sees them, with values that no noise lets G make."""
    noise = FAR * generator.draw(64, torch.Generator().manual_seed(0))
    low, high = (value.item() for value in generate(generator, noise).aminmax())
    below = share(real < low - ROUNDING) if is_bound(low) else 0.0
    above = share(real > high + ROUNDING) if is_bound(high) else 0.0
    if max(below, above) <= BEYOND:
        return []
    side = f"{below:.0%} of the real values are below" if below > above else f"{above:.0%} of the real values are above"
    evidence = f"G's samples are in [{low:.3g}, {high:.3g}] whatever the noise, and {side}"
    end = "a Tanh, which meets images in [−1, 1]" if is_image else "a linear layer"
    return [Finding("data out of G's reach", evidence, f"Let G end in {end}, or scale the data.")]


def is_bound(value: float) -> bool:
    """Whether this is where an activation ends: tanh, a sigmoid, a ReLU."""
    return min(abs(value - bound) for bound in (-1, 0, 1)) <= ROUNDING


def share(mask: Tensor) -> float:
    return mask.double().mean().item()
