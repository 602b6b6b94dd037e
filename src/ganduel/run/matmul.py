"""How exact torch's products of float32 matrices are, and by which library a CPU computes them.

On a CPU torch leaves them to MKL, unless `set_float32_matmul_precision("medium")` allows bfloat16's digits inside. Then
they go to oneDNN, which makes use of that on processors with units for products of bfloat16 (AMX), and on others
computes in float32. There large products take a tenth to a quarter less time, and their terms are added in another
order; small ones take longer. So "auto" chooses oneDNN for networks with a large layer, where no digits are lost.
Source: `torch.set_float32_matmul_precision` and "Numerical accuracy" in PyTorch's documentation.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import nn

from ganduel.distributed import on_cpu, world_size

MKL, ONEDNN = "highest", "medium"  # what torch calls them: the least precision that float32 products have
LARGE = 4e7  # floating-point operations of a product, two per term, from which oneDNN pays on one and two threads


@contextmanager
def matmul_precision(values: Mapping[str, Any], *networks: nn.Module) -> Iterator[None]:
    """One setting for the whole process, by a run's resolved config, and restored at the end.

    Args:
        values: the config; `trainer.matmul_precision` is one of torch's names, or "auto".
        networks: those that are trained.
    """
    wanted = values["trainer"]["matmul_precision"]
    if wanted == "auto":
        wanted = ONEDNN if pays(values, *networks) and keeps_float32() else MKL
    with set_to(wanted):
        yield


def pays(values: Mapping[str, Any], *networks: nn.Module) -> bool:
    """Whether a layer of a run in float32 on a CPU is so large that oneDNN is faster."""
    trainer = values["trainer"]
    samples = values["batch_size"] // world_size(trainer)
    layers = [layer for net in networks for layer in net.modules() if isinstance(layer, nn.Linear)]
    sizes = [layer.in_features * layer.out_features for layer in layers]  # looking at a spectral norm's weight moves it
    return trainer["precision"] == "32-true" and on_cpu(trainer) and 2 * samples * max(sizes, default=0) >= LARGE


@cache
def keeps_float32() -> bool:
    """Whether oneDNN computes products of float32 with all digits here: 24 bits, where bfloat16 has 8."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with set_to(ONEDNN):
        product = a @ b
    exact = a.double() @ b.double()
    return bool((product - exact).abs().max() < 2**-14 * exact.abs().max())


@contextmanager
def set_to(precision: str) -> Iterator[None]:
    """Torch's setting inside; outside it is what it was."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
