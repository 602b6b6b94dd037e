"""Images of data sets that the library `datasets` has saved; nothing is fetched."""

import sys

import pytest
import torch
from PIL import Image

from ganduel.data.huggingface import HuggingFace
from ganduel.errors import UserError

pytestmark = pytest.mark.slow  # an extra that the fast tests do without
datasets = pytest.importorskip("datasets")


def made_up(n, start=0, kinds=("cat", "dog")):
    columns = {
        "number": list(range(start, start + n)),
        "picture": [Image.new("RGB", (6, 4), (i, 0, 0)) for i in range(start, start + n)],
        "kind": [i % len(kinds) for i in range(start, start + n)],
    }
    features = {
        "number": datasets.Value("int64"),
        "picture": datasets.Image(),
        "kind": datasets.ClassLabel(names=kinds),
    }
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


@pytest.fixture
def saved(tmp_path):
    """Twenty images to train on, and five to compare with."""
    datasets.DatasetDict({"train": made_up(20), "test": made_up(5, 100)}).save_to_disk(tmp_path / "set")
    return tmp_path / "set"


def test_images_and_classes_of_both_splits(saved):
    data = HuggingFace(str(saved), size=4)
    assert (data.shape, data.size, data.classes) == ((3, 4, 4), 20, None)
    assert data.samples[:, 0, 0, 0].tolist() == list(range(20))
    data.use_labels()
    assert (data.classes, data.class_names) == (2, ["cat", "dog"])
    assert data.labels_of("train").tolist() == [0, 1] * 10
    assert data.samples_of("test")[:, 0, 0, 0].tolist() == list(range(100, 105))
    assert data.labels_of("test").tolist() == [0, 1, 0, 1, 0]


def test_a_set_without_another_split_is_divided(tmp_path):
    made_up(20).save_to_disk(tmp_path / "one")
    data = HuggingFace(str(tmp_path / "one"), size=4, channels=1)
    assert (data.shape, len(data.samples), len(data.samples_of("test"))) == ((1, 4, 4), 18, 2)


def test_a_split_without_known_classes_is_not_compared_with(tmp_path):
    """They are −1 in the test splits of many sets."""
    unknown = made_up(5, 100).map(lambda row: {**row, "kind": -1})
    datasets.DatasetDict({"train": made_up(20), "test": unknown}).save_to_disk(tmp_path / "set")
    data = HuggingFace(str(tmp_path / "set"), size=4)
    data.use_labels()
    assert (len(data.samples), data.count("test")) == (18, 2)
    assert torch.equal(data.labels_of("test"), data.samples_of("test")[:, 0, 0, 0].long() % 2)


def test_files_as_they_are_on_the_hub(tmp_path):
    """Parquet, which holds the images as bytes."""
    made_up(20).to_parquet(tmp_path / "train-00000-of-00001.parquet")
    data = HuggingFace(str(tmp_path), size=4)
    assert torch.cat([data.samples, data.samples_of("test")])[:, 0, 0, 0].sort().values.tolist() == list(range(20))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_on": "trian"}, r"data\.train_on=trian is no split of .*set\. Did you mean train\?"),
        ({"image": "number"}, r"data\.image=number is no column of type Image\. There are: picture|There is: picture"),
        ({"label": "knid"}, r"data\.label=knid is no column of type ClassLabel\. Did you mean kind\?"),
        ({"size": 0}, r"data\.size=0 must be at least 1"),
    ],
)
def test_mistyped_options(saved, options, message):
    with pytest.raises(UserError, match=message):
        HuggingFace(str(saved), **options)


def test_sets_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r"data=huggingface needs the name of a data set"):
        HuggingFace()
    with pytest.raises(UserError, match=r"nowhere cannot be loaded: "):
        HuggingFace(str(tmp_path / "nowhere"))
    datasets.Dataset.from_dict({"number": [1]}).save_to_disk(tmp_path / "numbers")
    with pytest.raises(UserError, match=r"has no column of images: number"):
        HuggingFace(str(tmp_path / "numbers"))


def test_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"data=huggingface needs datasets: pip install 'ganduel\[hf\]'"):
        HuggingFace(str(tmp_path))
