"""How Lightning writes checkpoints: atomically, and beside the training where they come from a GPU.

A GPU would wait for the disk, and an iteration of a small network takes a hundredth of the time of a write. So tensors
on a GPU are copied to the host by its own stream, and written by a thread while training goes on.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor

from ganduel.checkpoint import write

WRITER = ThreadPoolExecutor(1, "ganduel-checkpoint")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary file, syncs, then renames: a kill at any moment leaves the old file or the new one.

    An error in the writing thread is raised by the next save, or at the end of training.
    """

    pending: Future | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        self.wait()
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if on_gpu(checkpoint):
            self.pending = WRITER.submit(write_after_copy, *snapshot(checkpoint), path)
        else:
            write(checkpoint, path)

    def wait(self) -> None:
        """Wait until the last file is written."""
        pending, self.pending = self.pending, None
        if pending is not None:
            pending.result()

    def teardown(self) -> None:
        self.wait()


def write_after_copy(checkpoint: dict[str, Any], ready: Callable[[], None], path: Path) -> None:
    """Write a checkpoint whose tensors are being copied, once they are there."""
    ready()
    write(checkpoint, path)


def on_gpu(checkpoint: dict[str, Any]) -> bool:
    return any(isinstance(value, Tensor) and value.is_cuda for value in checkpoint.get("state_dict", {}).values())


def snapshot(checkpoint: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], None]]:
    """A copy of the checkpoint on the host, and a function that waits until its tensors have come from the GPU."""
    config = {"ganduel": checkpoint["ganduel"]} if "ganduel" in checkpoint else {}  # without tensors, and large
    others = {key: value for key, value in checkpoint.items() if key not in config}
    copies = config | apply_to_collection(others, Tensor, to_pinned_host)
    if not torch.cuda.is_initialized():
        return copies, lambda: None
    event = torch.cuda.Event(blocking=True)
    event.record()
    return copies, event.synchronize


def to_pinned_host(tensor: Tensor) -> Tensor:
    """A copy on the host; from a GPU an asynchronous one to pinned memory, in the order of the current stream."""
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
    return host.copy_(tensor.detach(), non_blocking=True)
