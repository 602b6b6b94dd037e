"""Images of a data set of the Hugging Face hub, or of one that was saved by `datasets`.

    data=huggingface data.name=mnist                    of the hub, downloaded once into the cache of `datasets`
    data=huggingface data.name=FOLDER                   of `save_to_disk`, or with Parquet files or images

The images are made into one shape, as those of data=images, and held in memory. Classes are those of the column of
type ClassLabel; a split in which some are unknown (−1) has none. To compare with there is the split `test` or
`validation`, if the set has one with classes where the training split has them; otherwise a tenth is held out.
Needs `pip install 'ganduel[hf]'`.
"""

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganduel.data.decode import Fit, PixelFormat, read
from ganduel.data.images import pixel_format
from ganduel.data.labelled import LabelledSamples
from ganduel.data.parts import Parts, divided
from ganduel.errors import UserError, nearest, summary_of

TO_COMPARE_WITH = ("test", "validation")


class HuggingFace(Parts):
    """The images.

    Args:
        name: of the set on the hub, or a folder.
        configuration: which of the set's configurations, where it has several.
        train_on: the split to train on.
        image: the column of the images; None: the first of type Image.
        label: the column of the classes; None: the first of type ClassLabel, if there is one.
        size, channels, fit, background: as of data=images.
    """

    def __init__(
        self,
        name: str | None = None,
        configuration: str | None = None,
        train_on: str = "train",
        image: str | None = None,
        label: str | None = None,
        size: int | Sequence[int] = 32,
        channels: int = 3,
        fit: Fit = "crop",
        background: str = "white",
    ):
        if name is None:
            raise UserError("data=huggingface needs the name of a data set: type data.name=NAME as well.")
        form = pixel_format(size, channels, fit, background, 8)
        splits = load(name, configuration)
        if train_on not in splits:
            raise UserError(f"data.train_on={train_on} is no split of {name}. {nearest(train_on, splits)}")
        image = column(splits[train_on], "Image", "data.image", image)
        label = column(splits[train_on], "ClassLabel", "data.label", label)
        if image is None:
            raise UserError(f"data.name={name} has no column of images: {', '.join(splits[train_on].column_names)}.")
        train = decoded(splits[train_on], image, label, form)
        others = (
            decoded(splits[split], image, label, form)
            for split in TO_COMPARE_WITH
            if split in splits and split != train_on
        )
        test = next((other for other in others if (other.labels is None) == (train.labels is None)), None)
        names = [] if label is None else splits[train_on].features[label].names
        super().__init__(*(divided(train) if test is None else (train, test)), names)


def load(name: str, config: str | None) -> dict[str, Any]:
    """The splits of a set by name."""
    try:
        import datasets
    except ImportError as error:
        raise UserError("data=huggingface needs datasets: pip install 'ganduel[hf]'.") from error
    saved = (Path(name).expanduser() / file for file in ("dataset_dict.json", "state.json"))
    try:
        found: Any = (
            datasets.load_from_disk(name) if any(map(Path.is_file, saved)) else datasets.load_dataset(name, config)
        )
    except Exception as error:  # of any type: no network, no such set, damaged files
        raise UserError(f"data.name={name} cannot be loaded: {summary_of(error)}") from error
    return dict(found) if isinstance(found, dict) else {"train": found}


def column(split: Any, kind: str, option: str, name: str | None) -> str | None:
    """The column of that name, or the first of that kind; None if there is none."""
    able = [key for key, feature in split.features.items() if type(feature).__name__ == kind]
    if name is not None and name not in able:
        raise UserError(f"{option}={name} is no column of type {kind}. {nearest(name, able)}")
    return name or next(iter(able), None)


def decoded(split: Any, image: str, label: str | None, form: PixelFormat) -> LabelledSamples:
    """All images of a split and their classes."""
    import datasets

    encoded = split.cast_column(image, datasets.Image(decode=False))
    pixels = torch.from_numpy(np.stack(list(arrays(encoded[image], form, image))))
    labels = None if label is None else torch.tensor(split[label])
    if labels is not None and labels.min() < 0:  # a class is unknown, as often in splits for tests
        labels = None
    return LabelledSamples(pixels, labels)


def arrays(encoded: Iterable[dict[str, Any]], form: PixelFormat, name: str) -> Iterable[np.ndarray]:
    """Each image in the form; one that cannot be read ends it, as the classes are counted."""
    for row, entry in enumerate(encoded):
        pixels = read(Path(entry["path"]) if entry["bytes"] is None else BytesIO(entry["bytes"]), form)
        if isinstance(pixels, str):
            raise UserError(f"image {row:,} of the column {name} cannot be read: {pixels}.")
        yield pixels
