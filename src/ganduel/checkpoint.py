"""Checkpoints: written whole or not at all, read with `weights_only=True`, and saying what they are.

Lightning's checkpoint plus one entry, all of it plain containers and tensors:

    ganduel: {format: 1, config: the resolved config of the run, shape: that of one sample}
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ganduel.errors import UserError
from ganduel.replacing import replacing

FORMAT = 1
INITIAL = "iteration_00000000.ckpt"
LAST = "last.ckpt"
BEST = "best.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the target, syncs, then renames: a kill at any moment leaves the old file or the new one."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, part.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())


def read(path: Path) -> dict[str, Any]:
    """The checkpoint in a file, on the CPU, checked to be one of ours that this version understands."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}.") from error
    except Exception as error:  # of any type: what is wrong with a damaged file shows anywhere in the unpickler
        reason = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
        raise UserError(f"{path} is not a readable checkpoint ({reason}). Is it cut off? Try another.") from error
    entry = checkpoint.get("ganduel") if isinstance(checkpoint, Mapping) else None
    if not isinstance(entry, Mapping) or "format" not in entry:
        raise UserError(f"{path} is a file of torch, but no checkpoint of ganduel.")
    if entry["format"] > FORMAT:
        raise UserError(
            f"{path} has format {entry['format']}, and this version of ganduel reads up to {FORMAT}. Upgrade ganduel."
        )
    return dict(checkpoint)


def begun(run: Path) -> bool:
    """Whether the run has a checkpoint to go on from."""
    return any((run / "checkpoints").glob("[!.]*.ckpt"))


def newest(run: Path) -> Path:
    """The checkpoint of a run to go on from: last.ckpt, or else that of the highest iteration."""
    folder = run / "checkpoints"
    candidates = [folder / LAST, *sorted(folder.glob("iteration_*.ckpt"), reverse=True)]
    for path in candidates:
        if path.is_file():
            return path
    raise UserError(f"{run} has no checkpoint (looked for {folder / LAST}). Give the folder of a run that has begun.")
