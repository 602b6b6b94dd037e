"""Classes of a folder of images: the folders in it."""

import logging

import pytest
from image_files import plain

from ganduel.data.base import denormalise
from ganduel.data.images import Images
from ganduel.errors import UserError


@pytest.fixture
def pets(tmp_path):
    """Cats of value 0 to 5, dogs of 100 to 103, one of them in a folder below."""
    for name, values in {"cat": range(6), "dog": range(100, 104)}.items():
        (tmp_path / name / "young").mkdir(parents=True)
        for value in values:
            plain(value, mode="L").save(tmp_path / name / ("young" if value == 103 else "") / f"{value}.png")
    return tmp_path


def labelled(folder, **options):
    data = Images(str(folder), size=1, channels=1, **{"held_out": 0.0, **options})
    data.use_labels()
    return data


def test_without_a_condition_there_are_none(pets):
    data = Images(str(pets), size=1)
    assert (data.classes, data.minibatch(0, 0, 4)[1]) == (None, None)
    assert data.fingerprint.keys() == {"samples", "shape", "checksum"}


def test_the_class_is_the_folder(pets, caplog):
    with caplog.at_level(logging.INFO):
        data = labelled(pets)
    assert caplog.messages[-1].endswith("2 classes: cat 6, dog 4.")
    images, labels = data.minibatch(0, 0, 10)
    assert data.classes == 2
    assert sorted(zip(denormalise(images).flatten().tolist(), labels.tolist(), strict=True)) == [
        *((value, 0) for value in range(6)),
        *((value, 1) for value in range(100, 104)),
    ]
    assert data.fingerprint["classes"] == ["cat", "dog"]


def test_a_minibatch_has_the_labels_of_its_images(pets):
    """Held-out images have labels too, so that theirs are not those of others."""
    data = labelled(pets, held_out=0.3)
    images, labels = data.minibatch(3, 0, 7)
    assert ((denormalise(images).flatten() >= 100).long() == labels).all()
    of_seeds, labels = data.minibatches([1, 2], 0, 7)
    assert ((denormalise(of_seeds).view(2, 7) >= 100).long() == labels).all()


def test_real_samples_for_metrics_have_their_labels(pets):
    data = labelled(pets, held_out=0.3)
    assert Images(str(pets), size=1).reference_labels("train", 5) is None
    for split, n in (("train", 7), ("test", 3)):
        images = data.reference(split, n, draw=1).flatten()
        assert ((images >= 100).long() == data.reference_labels(split, n, draw=1)).all()


def test_classes_without_an_image_are_named(pets, caplog):
    """Empty, or with none that can be read; they would be classes that D never sees. Hidden ones are no classes."""
    for name in ("ant", "bee", ".git"):
        (pets / name).mkdir()
    (pets / "bee" / "x.png").write_bytes(b"no image")
    data = labelled(pets)
    assert data.class_names == ["cat", "dog"]
    assert caplog.messages[-1].endswith("folders without an image are no classes: ant, bee.")
    assert sorted(data.minibatch(0, 0, 10)[1].tolist()) == [0] * 6 + [1] * 4


def test_images_of_no_class(pets):
    plain().save(pets / "x.png")
    assert Images(str(pets), size=1, held_out=0.0).size == 11
    with pytest.raises(UserError, match=r"the folders in data.dir=.*: 1 of the 11 images lie in none of them"):
        labelled(pets)


def test_a_fingerprint_is_of_names_and_labels(pets):
    """Another name may be another class; the images are the same."""
    first = labelled(pets).fingerprint
    (pets / "dog").rename(pets / "hound")
    renamed = labelled(pets).fingerprint
    (pets / "cat" / "0.png").rename(pets / "hound" / "!.png")
    moved = labelled(pets).fingerprint
    assert first["checksum"] == renamed["checksum"]
    assert first["labels"] == renamed["labels"] != moved["labels"]
    assert (first["classes"], renamed["classes"]) == (["cat", "dog"], ["cat", "hound"])
