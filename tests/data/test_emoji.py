"""The emoji that are shipped: their number, classes and splits, and the script that draws them."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d

from ganduel.data import emoji
from ganduel.data.base import normalise
from ganduel.data.emoji import FILE, GROUPS, Emoji
from ganduel.errors import UserError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def drawings():
    data = Emoji()
    data.use_labels()
    return data


@pytest.fixture
def make_emoji(monkeypatch):
    """The script that draws the set."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import make_emoji

    return make_emoji


def test_what_is_shipped():
    data = Emoji()
    assert FILE.stat().st_size < 6_000_000
    assert "SIL OPEN FONT LICENSE Version 1.1" in (FILE.parent / "LICENSE.md").read_text(encoding="utf-8")
    assert (data.shape, data.size, data.classes, data.samples.dtype) == ((3, 32, 32), 3301, None, torch.uint8)
    assert (data.samples[:, :, 0, 0] == 255).all(1).double().mean() > 0.95  # on white


def test_classes_are_unicodes_groups(drawings):
    assert drawings.classes == len(GROUPS) == 9
    assert drawings.labels_of("train").bincount().tolist() == [149, 1938, 139, 126, 194, 79, 241, 201, 234]
    assert drawings.labels_of("test").bincount().tolist() == [17, 204, 13, 7, 24, 6, 20, 22, 27]


def test_images_and_labels_belong_together(drawings):
    """Most smileys are yellow, and most flags are not."""
    images, labels = drawings.minibatch(0, 0, 1000)
    red, green, blue = images[:, :, 8:24, 8:24].mean((2, 3)).T
    yellow = (red > 0.4) & (green > 0) & (blue < 0)
    assert yellow[labels == GROUPS.index("Smileys & Emotion")].double().mean() > 0.6
    assert yellow[labels == GROUPS.index("Flags")].double().mean() < 0.1


def test_no_image_is_twice_in_the_set(drawings):
    whole = torch.cat([drawings.samples_of("train"), drawings.samples_of("test")])
    assert len(whole.flatten(1).unique(dim=0)) == len(whole) == 3641


def test_held_out_images_are_not_near_copies_of_training_images(drawings):
    """By the distance at which half of the training images have another: one of another skin, as a rule."""
    train, test = (avg_pool2d(normalise(drawings.samples_of(split)), 4).flatten(1) for split in ("train", "test"))
    distances = torch.cdist(train, train).fill_diagonal_(torch.inf)
    limit = distances.min(1).values.quantile(0.5)
    assert (torch.cdist(test, train).min(1).values < limit).double().mean() < 0.15


def test_a_damaged_file_is_noticed(tmp_path, monkeypatch):
    shutil.copy(FILE, tmp_path)
    with (tmp_path / FILE.name).open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\1")
    monkeypatch.setattr(emoji, "FILE", tmp_path / FILE.name)
    with pytest.raises(UserError, match=r"emoji\.npz is damaged: its SHA-256 is .* Install ganduel again"):
        Emoji()


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["man: dark skin tone, red hair", "person", "woman: blond hair"], ""),
        (["cook", "man cook", "woman cook: light skin tone"], "cook"),
        (["kiss", "kiss: woman, man, medium skin tone, light skin tone"], "kiss"),
        (["family: man, girl", "family: woman, girl"], "family, girl"),
        (["flag: Chad"], "flag, Chad"),
        (["Mrs. Claus: dark skin tone"], "Mrs. Claus"),
    ],
)
def test_variants_are_of_one_kind(make_emoji, names, kind):
    assert {make_emoji.kind(name) for name in names} == {kind}


def test_a_kind_is_held_out_whole_or_not_at_all(make_emoji):
    """A tenth of the kinds, the same ones in every order, and none of the large ones."""
    kinds = [f"{i} of {n}" for n in (1, 18, 19) for i in range(400) for _ in range(n)]
    out = make_emoji.held_out(kinds)
    chosen = {kind for kind, is_out in zip(kinds, out, strict=True) if is_out}
    assert out.tolist() == [kind in chosen for kind in kinds]
    assert out.tolist() == make_emoji.held_out(kinds[::-1])[::-1].tolist()
    counts = [sum(kind.endswith(f"of {n}") for kind in chosen) for n in (1, 18, 19)]
    assert counts[2] == 0
    assert all(20 < count < 60 for count in counts[:2])


@pytest.mark.slow
def test_the_script_draws_what_is_shipped(make_emoji, monkeypatch, tmp_path, capsys):
    """Where Debian's packages are installed."""
    if not Path(make_emoji.FONT).is_file() or not Path(make_emoji.LIST).is_file():
        pytest.skip("needs fonts-noto-color-emoji and unicode-data")
    monkeypatch.setattr(sys, "argv", ["make_emoji.py", "--out", str(tmp_path / "new.npz")])
    make_emoji.main()
    with np.load(tmp_path / "new.npz") as new, np.load(FILE) as shipped:
        assert all(np.array_equal(new[name], shipped[name]) for name in ("images", "labels", "held_out"))
    assert "3641 images, 340 held out" in capsys.readouterr().out
