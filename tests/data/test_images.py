"""Folders of images: every kind that is read, how they are turned, cut and coloured, and what is said of bad ones."""

import logging

import numpy as np
import pytest
import torch
from image_files import RED, only, plain, uniform

from ganduel.data import images
from ganduel.data.base import denormalise
from ganduel.data.images import Images, divide
from ganduel.data.mapped import Mapped
from ganduel.errors import UserError
from ganduel.metric.frechet import FrechetDistance

# Kinds of files


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "PNG", "JPG"])
def test_kinds(tmp_path, suffix):
    """To within what JPEG and WebP lose."""
    plain((200, 100, 50)).save(tmp_path / f"x.{suffix}")
    assert np.array(only(tmp_path)) == pytest.approx(np.array(uniform(200, 100, 50)), abs=3)


def test_files_are_found_below_the_folder_in_order(tmp_path):
    for value, name in enumerate(["a/9.png", "b/c/1.png", "b/c/2.png", "d.png"]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        plain(value, mode="L").save(tmp_path / name)
    data = Images(dir=str(tmp_path), size=1, held_out=0.0, channels=1)
    assert data.samples.flatten().tolist() == [0, 1, 2, 3]


def test_hidden_files_are_passed_over_without_a_word(tmp_path, caplog):
    """Such as thumbnails, and what one system leaves beside each file on the disks of others."""
    plain().save(tmp_path / "x.png")
    (tmp_path / "._x.png").write_bytes(b"no image")
    (tmp_path / ".thumbnails").mkdir()
    plain().save(tmp_path / ".thumbnails" / "x.png")
    (tmp_path / "folder.png").mkdir()
    with caplog.at_level(logging.INFO):
        assert only(tmp_path) == uniform(*RED)
    (record,) = caplog.records
    assert "1 images decoded" in record.getMessage()


def test_a_hidden_folder_may_be_named(tmp_path):
    hidden = tmp_path / ".cache" / "faces"
    hidden.mkdir(parents=True)
    plain().save(hidden / "x.png")
    assert only(hidden) == uniform(*RED)


def test_home_folder_is_understood(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert Images(dir=f"~/{folder.name}", held_out=0.0).size == 10


# What is decoded


def test_a_folder_is_decoded_once(folder, monkeypatch):
    """For all jobs of a sweep, all ranks and evaluations, and whichever images are held out; again for other pixels."""
    reads = []
    monkeypatch.setattr(images, "read", lambda path, form: reads.append(path) or np.zeros(form.shape, form.dtype))
    first = Images(str(folder), size=2)
    monkeypatch.chdir(folder.parent)
    second = Images(folder.name, size=2, held_out=0.5, flip=True)
    assert len(reads) == 10
    assert first.samples.data_ptr() != second.samples.data_ptr()
    assert first.fingerprint == second.fingerprint
    Images(str(folder), size=2, background="black")
    assert len(reads) == 20


# What is held out


def values(samples):
    return sorted(samples[:, 0, 0, 0].tolist())


def trained_on(data):
    """The values of an epoch's images, in minibatches of one."""
    return sorted(denormalise(data.minibatch(0, p, 1)[0])[0, 0, 0, 0].item() for p in range(data.size))


def test_the_held_out_share_is_the_test_split(folder):
    data = Images(dir=str(folder), size=2, held_out=0.3)
    assert data.size == 7
    assert data.splits == ("train", "test")
    assert data.reference("test", 3).dtype == torch.uint8
    assert sorted(trained_on(data) + values(data.reference("test", 3))) == list(range(10))
    assert values(data.reference("train", 7)) == values(data.samples_of("train")) == trained_on(data)
    assert values(data.samples_of("test")) == values(data.reference("test", 3))


def test_the_choice_is_always_the_same(folder):
    first, second = (Images(dir=str(folder), size=2, held_out=0.3) for _ in range(2))
    assert torch.equal(first.samples_of("train"), second.samples_of("train"))
    assert torch.equal(first.samples_of("test"), second.samples_of("test"))


def test_the_choice_is_spread():
    """Not the last of the names, which may be one class of many: of ten tenths each has its share."""
    _, out = divide(10_000, 0.1)
    shares = (out // 1000).bincount(minlength=10)
    assert (shares - 100).abs().max() < 5 * (1000 * 0.1 * 0.9) ** 0.5


def test_none_is_held_out(folder):
    data = Images(dir=str(folder), held_out=0.0)
    assert data.size == 10
    assert data.splits == ("train",)
    with pytest.raises(UserError, match=r"Images has no split test. It has: train"):
        data.reference("test", 1)


def test_too_few_to_hold_any_out(tmp_path):
    plain().save(tmp_path / "x.png")
    assert Images(dir=str(tmp_path)).splits == ("train",)


def test_all_held_out(tmp_path):
    plain().save(tmp_path / "x.png")
    with pytest.raises(UserError, match=r"data.held_out=0.9 leaves none of the 1 images for training"):
        Images(dir=str(tmp_path), held_out=0.9)


def test_shape_and_range(folder):
    data = Images(dir=str(folder))
    assert data.shape == (3, 32, 32)
    assert data.samples.dtype == torch.uint8
    assert data.features is None
    x, _ = data.minibatch(0, 0, 4)
    assert x.shape == (4, 3, 32, 32)
    assert x.max() <= 9 / 127.5 - 1 + 1e-6


def test_fingerprint_is_of_all_images(folder):
    """Those held out too: another one would be another test set."""
    data, other = Images(str(folder), size=4), Images(str(folder), size=4, held_out=0.0)
    assert data.fingerprint["samples"] == other.fingerprint["samples"] == 10
    held_out = int(data.held_out[0])
    plain(77, mode="L").save(folder / f"{held_out}.png")
    changed = Images(str(folder), size=4)
    assert torch.equal(changed.samples_of("train"), data.samples_of("train"))
    assert changed.fingerprint["checksum"] != data.fingerprint["checksum"]


@pytest.mark.parametrize(("n", "option"), [(2, "data.held_out=0.2"), (5, "data.held_out=0.5"), (6, None)])
def test_a_metric_that_lacks_real_samples_names_the_option(folder, n, option):
    """Of ten images a tenth is held out, one: no set for a metric. With the option there are n, and as many others."""
    data = Images(str(folder), size=1)
    assert data.remedy(n) == option
    if option:
        enough = Images(str(folder), size=1, held_out=float(option.partition("=")[2]))
        assert min(enough.count("train"), enough.count("test")) >= n
    metric = FrechetDistance(features="pixels")
    with pytest.raises(UserError, match=r"make sets of 1, and 2 are needed. Try data.held_out=0.2\.$"):
        metric.fit_to(data)


def test_the_next_minibatch_is_read_ahead(folder, monkeypatch):
    """Of each seed, the rows of this rank, over the end of an epoch; what is taken then is what was asked for."""
    data, asked = Images(str(folder), size=1, channels=1, held_out=0.0), []
    monkeypatch.setattr(Mapped, "prefetch", lambda self, indices: asked.append(indices))
    for position in range(5):
        images, _ = data.minibatch(1, position, 4, slice(1, 3))
        if position > 0:
            assert torch.equal(denormalise(images), data.samples[asked[position - 1]])
    asked.clear()
    data.minibatches([1, 2], 5, 4)
    taken, _ = data.minibatches([1, 2], 6, 4)
    assert torch.equal(denormalise(taken), data.samples[torch.stack(asked[:2])])
