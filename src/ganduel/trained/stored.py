"""What a trained generator is stored as: its weights, and what is needed to build it; a checkpoint has both, and more.

    FOLDER/model.safetensors      the weights of G or of its average, buffers included
    FOLDER/config.json            the parts of the run's config, sizes, classes, and which weights these are

This folder is what `ganduel export --format safetensors` writes. Of the config it has what made the generator and no
paths: such folders are published.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ganduel import checkpoint as checkpoints
from ganduel.data.base import is_image
from ganduel.errors import UserError
from ganduel.factory.data import recorded_data
from ganduel.trained.generator import TrainedGenerator

WEIGHTS, ABOUT = "model.safetensors", "config.json"
FORMAT = 1  # of config.json
KEPT = ("seed", "k", "batch_size", "pack", "unroll", "loss", "penalty", "penalty_g", "augment", "condition", "model",
        "data", "optimizer", "ema")  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """A generator that has not been built.

    Attributes:
        config: that of its run, or the part of it that is kept.
        shape: of one sample.
        image: whether that is an image.
        classes: of the labels that it takes; None: it takes none.
        class_names: what they are called, where they have names.
        iteration: the number of iterations of its training.
        name: which weights these are, in words.
        weights: its state.
    """

    config: Mapping[str, Any]
    shape: tuple[int, ...]
    image: bool
    classes: int | None
    class_names: Sequence[str]
    iteration: int
    name: str
    weights: Mapping[str, Tensor]

    @property
    def node(self) -> Mapping[str, Any]:
        """Its class, as `_target_`, and options."""
        return self.config["model"]["generator"]


def is_exported(path: Path) -> bool:
    """Whether this is a folder that was exported, and not that of a run."""
    return (path / WEIGHTS).is_file()


def read_checkpoint(path: Path, live: bool) -> Stored:
    """From a checkpoint; G itself instead of the average of its weights, if `live`."""
    checkpoint = checkpoints.read(path)
    with whole(path, "checkpoint"):
        entry, weights = checkpoint["ganduel"], checkpoint["state_dict"]
        shape, config = tuple(entry["shape"]), entry["config"]
        image = entry.get("image", True)  # one of an older version does not say
        averages = any(key.startswith("ema.net.") for key in weights)
        prefix = "ema.net." if averages and not live else "generator."
        name = "the average of G" if prefix == "ema.net." else "G itself"
        return Stored(
            config=config,
            shape=shape,
            image=image and is_image(shape, "image" in entry),
            classes=entry.get("classes"),
            class_names=tuple(str(name) for name in recorded_data(config).get("classes", ())),
            iteration=checkpoint["global_step"],
            name=name if averages or live else f"{name} (the run keeps no average)",
            weights={k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)},
        )


def read_exported(folder: Path) -> Stored:
    """From a folder that was exported."""
    with whole(folder, "exported generator"):
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise UserError(f"{folder} is of another version of ganduel, {about['version']}. Install that.")
        return Stored(
            config=about["config"],
            shape=tuple(about["shape"]),
            image=about["image"],
            classes=about["classes"],
            class_names=tuple(about["class_names"]),
            iteration=about["iteration"],
            name=about["weights"],
            weights=load_file(folder / WEIGHTS),
        )


def write_exported(folder: Path, source: TrainedGenerator) -> None:
    """Into an empty folder."""
    data = {key: value for key, value in source.config["data"].items() if key != "dir"}
    config = {key: source.config[key] for key in KEPT if key in source.config} | {"data": data}
    about = {
        "format": FORMAT,
        "version": version("ganduel"),
        "shape": source.shape,
        "image": source.image,
        "classes": source.classes,
        "class_names": source.class_names,
        "iteration": source.iteration,
        "weights": source.name,
        "config": config,
    }
    weights = {key: value.contiguous() for key, value in source.generator.state_dict().items()}
    (folder / ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / WEIGHTS).write_bytes(save(weights))


@contextmanager
def whole(path: Path, kind: str) -> Iterator[None]:
    """Answers what is missing in a file from elsewhere, or is not what it should be, in one line."""
    try:
        yield
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, OSError, SafetensorError) as error:
        raise UserError(f"{path} is no whole {kind}: {error} is missing or not what it should be.") from error
