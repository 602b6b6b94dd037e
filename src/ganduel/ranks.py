"""What is averaged over all ranks, for parts that keep something: each rank sees its rows of a minibatch alone."""

import torch.distributed as dist
from torch import Tensor


def mean_over_ranks(x: Tensor) -> Tensor:
    """The mean of a tensor over the ranks, without gradient; on one rank the tensor itself."""
    x = x.detach()
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    mean = x.clone()
    dist.all_reduce(mean)
    return mean / dist.get_world_size()
