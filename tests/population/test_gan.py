"""The GANs of a population as one: what is stacked, by whom it is batched, and whose the tensors are."""

import logging
from collections.abc import Callable

import pytest
import torch

from ganduel.population.gan import norm_of_each

WORDS = ("trainer.max_steps=2", "log_every=1")


def test_the_norm_of_each_member():
    torch.manual_seed(1)
    tensors = [torch.randn(3, 4, 5), torch.randn(3, 2), torch.randn(3)]
    expected = [torch.cat([t[i].flatten() for t in tensors]).norm() for i in range(3)]
    torch.testing.assert_close(norm_of_each(tensors), torch.stack(expected))


@pytest.mark.parametrize(
    ("members", "groups"),
    [
        ((("seed=1",), ("seed=2",)), [slice(None)]),
        ((("loss=saturating",), ("seed=1",), ("seed=2",)), [slice(0, 1), slice(1, 3)]),
        ((("seed=1",), ("loss=saturating",), ("seed=2",)), [slice(0, 1), slice(1, 2), slice(2, 3)]),
    ],
    ids=["one", "two", "alike ones that do not follow each other"],
)
def test_members_that_follow_each_other_and_differ_in_the_seed_alone_are_a_group(train: Callable, members, groups):
    assert train(*((*words, *WORDS) for words in members)).gan.groups == groups


def test_a_members_weights_and_moments_are_views_of_the_stack(train: Callable, values, monkeypatch):
    gan = train(*((f"seed={seed}", *WORDS) for seed in (1, 2))).gan
    for name in ("generator", "discriminator"):
        stacked = list(getattr(gan, name).parameters())
        for member in gan.members:
            assert len(list(getattr(member, name).parameters())) == len(stacked)
    assert gan.state_dict() == {}  # a checkpoint is a member's


@pytest.mark.parametrize(
    ("words", "lines"),
    [((), []), (("model.discriminator.norm=spectral",), ["D has layers that cannot be batched: …"])],
)
def test_a_line_says_what_is_run_one_after_another(train: Callable, caplog, words, lines):
    with caplog.at_level(logging.INFO, "ganduel"):
        train(*((f"seed={seed}", *WORDS, *words) for seed in (1, 2)))
    said = [record.getMessage() for record in caplog.records if "batched" in record.getMessage()]
    assert [line.partition(":")[0] + ": …" for line in said] == lines
