"""Checkpoints with a whole config, of generators that nobody has trained."""

from pathlib import Path
from typing import Any

from ganduel.checkpoint import FORMAT
from ganduel.checkpoint_io import AtomicCheckpointIO
from ganduel.factory.networks import build_generator


def save_whole(path: Path, config: dict[str, Any], shape: tuple[int, ...], classes: int | None = None) -> Path:
    """A checkpoint after 7 iterations of a run of this config that keeps no average."""
    generator = build_generator(config, shape, classes)
    weights = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    about = {"format": FORMAT, "config": config, "shape": list(shape), "image": len(shape) == 3, "classes": classes}
    path.parent.mkdir(parents=True, exist_ok=True)
    AtomicCheckpointIO().save_checkpoint({"state_dict": weights, "global_step": 7, "ganduel": about}, path)
    return path
