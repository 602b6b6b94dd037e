"""How many processes train a population, and how a further one is started.

On GPUs there is one per device. On a CPU threads wait for each other at the end of each kernel, of which small networks
launch two hundred per iteration, and processes do not: so there is one per core, each with a part of the members,
unless the parts would be too small to be worth a start, or members are large enough to keep all cores busy.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from subprocess import Popen
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ganduel.distributed import on_cpu, world_size
from ganduel.environment import PARENT_PID
from ganduel.errors import UserError
from ganduel.population.worker import CONFIG_WITH_SECRETS

if TYPE_CHECKING:
    from ganduel.population.trainer import MemberSpec

# Parameters of both networks; above, more processes gain less than half again: docs/population.md
MAX_PARAMS_FOR_MULTIPROCESS = 1_000_000
MIN_MEMBERS_PER_PROCESS = 4  # a further process takes seconds to start


def number_of_processes(requested: Any, trainer: Mapping[str, Any], members: int, params: int) -> int:
    """Number of worker processes for this many members of this size.

    Args:
        requested: a number, or "auto".
        trainer: its config.
        members: how many.
        params: parameters of both networks of one member.

    Raises:
        UserError: it is no number, or members are on devices, one process per device.
    """
    devices = world_size(trainer)
    if requested != "auto" and (not isinstance(requested, int) or isinstance(requested, bool) or requested < 1):
        raise UserError(f"population.processes={requested} is neither auto nor a number from 1.")
    if devices > 1 or not on_cpu(trainer):
        if requested not in ("auto", devices):
            raise UserError(
                f"population.processes={requested}: there is one for each of trainer.devices={trainer['devices']}. "
                "Leave it at auto."
            )
        return min(devices, members)
    if requested == "auto":
        most = min(torch.get_num_threads(), members // MIN_MEMBERS_PER_PROCESS)
        requested = 1 if params > MAX_PARAMS_FOR_MULTIPROCESS else most
    return max(1, min(requested, members))


def number_of_params(*networks: nn.Module) -> int:
    """How many parameters they have."""
    return sum(p.numel() for net in networks for p in net.parameters())


def on_gpu(trainer: Mapping[str, Any]) -> bool:
    return trainer["accelerator"] != "cpu" and torch.cuda.is_available()


def start(part: "Sequence[MemberSpec]", number: int, processes: int, trainer: Mapping[str, Any]) -> Popen:
    """A further process, which trains its part of the members on its own device, or on its part of the cores.

    It is in a session of its own: the terminal's Ctrl-C comes to it through the first process. The locks of its members
    stay open in it, and so outlive the first process if that is killed.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)  # a user's own modules are found there too
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads(processes))}
    environment[PARENT_PID] = str(os.getpid())
    environment[CONFIG_WITH_SECRETS] = json.dumps(part[0].values)
    if on_gpu(trainer):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
        environment["CUDA_VISIBLE_DEVICES"] = visible.split(",")[number]
    folders = [str(spec.folder) for spec in part]
    command = [sys.executable, "-m", "ganduel.population.worker", *folders]
    locks = [spec.lock for spec in part if spec.lock is not None]
    return Popen(command, env=environment, start_new_session=True, pass_fds=locks)


def threads(processes: int) -> int:
    """Threads per process, of those that torch would use."""
    return max(1, torch.get_num_threads() // processes)


def split_evenly(members: "Sequence[MemberSpec]", processes: int) -> "list[Sequence[MemberSpec]]":
    """The processes' parts of the members."""
    return [members[i * len(members) // processes : (i + 1) * len(members) // processes] for i in range(processes)]
