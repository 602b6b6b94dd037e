"""The rank of this process by its environment variables, before any process group exists."""

import os

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def rank_from_environment() -> int:
    """This process's rank as its launcher states it: 0 for the first process of all, another number for every other."""
    return max(int(os.environ.get(name) or 0) for name in RANKS)
