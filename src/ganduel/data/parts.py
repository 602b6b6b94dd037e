"""Images in memory in two parts, one to train on and one to compare with, and perhaps the class of each image.

Data that are published as such parts are made of them; of others a tenth is held out, chosen by a fixed shuffle.
"""

from collections.abc import Sequence

from torch import Tensor

from ganduel.data.base import Split, TensorData
from ganduel.data.images import divide
from ganduel.data.labelled import LabelledSamples

HELD_OUT = 0.1


class Parts(TensorData):
    """The images.

    Args:
        train, test: the two parts.
        class_names: what the classes are called.
    """

    splits = ("train", "test")

    def __init__(self, train: LabelledSamples, test: LabelledSamples, class_names: Sequence[str] = ()):
        self.parts: dict[Split, LabelledSamples] = {"train": train, "test": test}
        self.names = class_names
        super().__init__(train.samples)

    def use_labels(self) -> None:
        """The classes that the images came with."""
        if (labels := self.parts["train"].labels) is None:
            super().use_labels()
        else:
            self.set_labels(labels, self.names)

    def samples_of(self, split: Split) -> Tensor:
        return self.samples if split == "train" else self.parts[split].samples

    def labels_of(self, split: Split) -> Tensor | None:
        return None if self.classes is None else self.parts[split].labels


def divided(whole: LabelledSamples) -> tuple[LabelledSamples, LabelledSamples]:
    """Nine tenths to train on, and those held out."""
    train, out = divide(len(whole), HELD_OUT)
    return whole.rows(train), whole.rows(out)
