"""Emoji: 3,641 drawings of 32×32 pixels in colour on white, shipped with the package.

    train   those of nine tenths of the kinds of emoji
    test    those of every tenth kind, by a hash of its name, never trained on
    class   the group of Unicode's list: smileys, people, animals, food, travel, activities, objects, symbols, flags

An emoji and its variants in other skin tones, genders and hair are one kind: nearly the same drawing is never in both
splits, so that the floor of a metric is not that of a copier. Of the people, more than half of all images, most are
such variants. `scripts/make_emoji.py` draws the set from the font.
Source: Noto Color Emoji 2.042, Google; licence SIL OFL 1.1, see `assets/emoji/LICENSE.md`.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch

from ganduel.data.labelled import LabelledSamples
from ganduel.data.parts import Parts
from ganduel.errors import UserError

FILE = Path(__file__).parent / "assets" / "emoji" / "emoji.npz"
SHA256 = "def3a0218a109ea0468da115bac934f9d69e3f1670cbf5c2e819aff7e439906c"
GROUPS = (
    "Smileys & Emotion", "People & Body", "Animals & Nature", "Food & Drink", "Travel & Places", "Activities",
    "Objects", "Symbols", "Flags",
)  # fmt: skip


class Emoji(Parts):
    """The drawings."""

    licence = "SIL OFL 1.1"

    def __init__(self):
        if (sha256 := hashlib.sha256(FILE.read_bytes()).hexdigest()) != SHA256:
            raise UserError(f"{FILE} is damaged: its SHA-256 is {sha256}. Install ganduel again.")
        with np.load(FILE) as arrays:
            images, labels, held_out = (torch.from_numpy(arrays[name]) for name in ("images", "labels", "held_out"))
        whole = LabelledSamples(images, labels.long())
        super().__init__(whole.rows(~held_out), whole.rows(held_out), GROUPS)
