"""Products of float32 on a CPU by oneDNN in the place of MKL.

torch gives them to MKL unless `set_float32_matmul_precision("medium")` lets them have bfloat16's digits inside. Then
they go to oneDNN, which makes use of that on processors with units for products of bfloat16 (AMX), and on others
computes in float32. There it takes a tenth to a quarter less time for large products, whose terms it adds in another
order; for small ones, and for products of two vectors, it takes longer. So it is for the iterations of networks with a
large layer, where no digits are lost.

Source: `torch.set_float32_matmul_precision` and "Numerical accuracy" in PyTorch's documentation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn

MKL, ONEDNN = "highest", "medium"  # what torch calls them: the precision that float32 products have at the least
LARGE = 4e7  # floating-point operations of a product, two for each term; where it begins to pay on one and two threads


@contextmanager
def products_by(library: str | None) -> Iterator[None]:
    """Products inside are computed by one of the two; None: by the same as those outside."""
    if library is None or (before := chosen()) is None:
        yield
        return
    torch.set_float32_matmul_precision(library)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def chosen() -> str | None:
    """Which of them computes now; None where a program has chosen by `torch.backends`, and torch has no word for it."""
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


@cache
def keeps_float32() -> bool:
    """Whether oneDNN computes products of float32 with all digits here: 24 bits, where bfloat16 has 8."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
    with products_by(ONEDNN):
        found = a @ b
    exact = a.double() @ b.double()
    return bool((found - exact).abs().max() < 2**-14 * exact.abs().max())


def is_large(network: nn.Module, samples: int) -> bool:
    """Whether a layer's product of so many samples is one that oneDNN pays for."""
    sizes = [layer.in_features * layer.out_features for layer in network.modules() if isinstance(layer, nn.Linear)]
    return 2 * samples * max(sizes, default=0) >= LARGE
