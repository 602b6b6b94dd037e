"""What the environment says of this process, before any process group is there to ask."""

import os

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")


def rank() -> int:
    """This process's rank as its launcher states it, or some other number but 0 for a process that is not the first."""
    return max(int(os.environ.get(name) or 0) for name in RANKS)
