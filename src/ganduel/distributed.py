"""Many ranks as equal replicas: broadcast once, then average each network's gradient in each of its updates.

PyTorch's DDP wrapper sees one module and one backward pass per iteration; Algorithm 1 has two networks and k + 1
passes, each through some of the parameters, and the wrapper stops on "unused" ones or searches for them. So nothing is
wrapped: rank 0's weights are broadcast at the start, and the algorithm calls `ranks.average_gradients` where a gradient
is complete. This also holds for penalties that differentiate twice.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO, cast

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from ganduel.environment import PARENT_PID
from ganduel.errors import UserError


def world_size(trainer: Mapping[str, Any]) -> int:
    """The number of ranks that the trainer's config asks for."""
    devices = trainer["devices"]
    if isinstance(devices, str) and devices.lstrip("-").isdigit():
        devices = int(devices)
    if devices in ("auto", -1):
        devices = 1 if on_cpu(trainer) else torch.accelerator.device_count()
    elif isinstance(devices, str):
        devices = len(devices.strip(",").split(","))
    elif not isinstance(devices, int):
        devices = len(devices)
    return devices * trainer["num_nodes"]


def check_launcher(trainer: Mapping[str, Any]) -> None:
    """Refuse processes of torchrun of which each would train the whole run."""
    launched = int(os.environ.get("WORLD_SIZE") or 1)
    if launched > 1 and launched != world_size(trainer):
        local = os.environ.get("LOCAL_WORLD_SIZE", launched)
        raise UserError(
            f"{launched} processes were launched, and trainer.devices={trainer['devices']} with "
            f"trainer.num_nodes={trainer['num_nodes']} makes {world_size(trainer)}. "
            f"Type trainer.devices={local} trainer.num_nodes={launched // int(local)}."
        )


def on_cpu(trainer: Mapping[str, Any]) -> bool:
    """Whether its ranks compute on the CPU."""
    return trainer["accelerator"] == "cpu" or not torch.accelerator.is_available()


class ReplicatedStrategy(DDPStrategy):
    """Lightning's DDP (launchers, clusters, process groups) without its wrapper.

    Args:
        command: the command that starts each further rank of this node, where no launcher such as torchrun or SLURM
            has started them. By default it is this process's command line; a sweep must not repeat that.
        text: what each of them reads from its standard input.
    """

    def __init__(self, command: list[str] | None = None, text: str = "", **kwargs):
        super().__init__(**kwargs)
        self.command, self.text = command, text

    def configure_ddp(self) -> None:
        assert self.model is not None
        for tensor in [*self.model.parameters(), *self.model.buffers()]:
            dist.broadcast(tensor.data, 0)

    def kill_workers(self) -> None:
        """Kill the ranks that this process has started: it has failed, and they would wait for it forever."""
        if isinstance(self.launcher, CommandLauncher):
            self.launcher.kill_workers()

    def _configure_launcher(self) -> None:
        super()._configure_launcher()
        if self.command is not None:
            assert self.cluster_environment is not None
            counts = self.num_processes, self.num_nodes
            self._launcher = CommandLauncher(self.command, self.text, self.cluster_environment, *counts)


class CommandLauncher(_SubprocessScriptLauncher):
    """Starts the further ranks by a given command instead of by replaying `sys.argv`."""

    def __init__(self, command: list[str], text: str, *args):
        super().__init__(*args)
        self.command, self.text = command, text

    def _call_children_scripts(self) -> None:
        self._check_can_spawn_children()
        environment = self.cluster_environment
        os.environ["MASTER_ADDR"] = environment.main_address
        os.environ["MASTER_PORT"] = str(environment.main_port)
        os.environ["NODE_RANK"] = str(environment.node_rank())
        os.environ["LOCAL_RANK"] = str(environment.local_rank())
        os.environ["WORLD_SIZE"] = str(self.num_processes * self.num_nodes)
        path = os.pathsep.join(entry for entry in sys.path if entry)  # for user modules
        own = {"PYTHONPATH": path, PARENT_PID: str(os.getpid())}
        for rank in range(1, self.num_processes):
            variables = {**os.environ, **own, "LOCAL_RANK": str(rank)}
            self.procs.append(process := subprocess.Popen(self.command, env=variables, stdin=subprocess.PIPE))
            with cast(BinaryIO, process.stdin) as stdin:
                stdin.write(self.text.encode())

    def kill_workers(self) -> None:
        """Kill the started ranks, first removed from the list whose observer would then kill this process too."""
        workers = self.procs.copy()
        self.procs.clear()
        for process in workers:
            process.kill()
            process.wait()
