"""Metrics gather features over batches, and over ranks as over one."""

import pytest
import torch
from programs import CONTEXT

from ganduel.data.gaussian1d import Gaussian1D
from ganduel.data.ring8 import Ring8
from ganduel.errors import UserError
from ganduel.metric.base import size_name
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.functional import frechet_distance
from ganduel.metric.kernel import KernelDistance
from ganduel.metric.modes import Modes
from ganduel.metric.neighbours import Neighbours

KINDS = (FrechetDistance, KernelDistance, Neighbours, Modes)


def sets(n=121):
    """Points on a ring, and some of them moved."""
    real = Ring8().reference("test", n)
    return real, real.flip(0) + torch.linspace(0, 0.3, n)[:, None]


def measured(metric, *parts):
    """The metric's values after the parts, pairs of real and generated samples."""
    metric.fit_to(Ring8())
    for real, fake in parts:
        metric.update(real, real=True)
        metric.update(fake, real=False)
    return {key: value.item() for key, value in metric.compute().items()}


def test_key_names_quantity_features_and_size():
    assert list(measured(FrechetDistance(samples=2500), sets())) == ["fd/points_2500"]
    metric = Neighbours()
    metric.fit_to(Ring8())
    assert list(metric.directions) == [
        "precision/points_10k", "recall/points_10k", "density/points_10k", "coverage/points_10k"
    ]  # fmt: skip


@pytest.mark.parametrize(("n", "name"), [(10_000, "10k"), (26_000, "26k"), (2500, "2500"), (999, "999")])
def test_size_name(n, name):
    assert size_name(n) == name


@pytest.mark.parametrize("kind", KINDS)
def test_batches_make_no_difference(kind):
    real, fake = sets()
    whole = measured(kind(), (real, fake))
    parts = measured(kind(), *zip(real.split(50), fake.split(50), strict=True))
    assert parts == pytest.approx(whole, rel=1e-12)
    assert whole.keys() == parts.keys()


def test_forgetting_the_generated_keeps_the_real():
    real, fake = sets()
    metric = FrechetDistance()
    measured(metric, (real, fake))
    metric.forget_fake()
    metric.update(fake + 5, real=False)
    assert metric.compute()["fd/points_10k"].item() == pytest.approx(frechet_distance(real, fake + 5).item())


RANK = """
import torch
import torch.distributed as dist
from ganduel.data.ring8 import Ring8
from ganduel.metric.registry import METRICS

dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=number, world_size=2)
real, fake = torch.load(f"{folder}/sets.pt")
values = {}
for name in ("frechet", "kernel", "neighbours", "modes"):
    metric = METRICS[name]()
    metric.fit_to(Ring8())
    metric.update(real[number::2], real=True)
    metric.update(fake[number::2], real=False)
    values |= {key: value.item() for key, value in metric.compute().items()}
torch.save(values, f"{folder}/{number}.pt")
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_ranks_equal_one(tmp_path):
    """Two processes, each with every second sample; of 121 one has 61."""
    torch.save(sets(), tmp_path / "sets.pt")
    ranks = [CONTEXT.Process(target=exec, args=(RANK, {"folder": tmp_path, "number": n})) for n in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
        assert process.exitcode == 0
    whole = {}
    for kind in KINDS:
        whole |= measured(kind(), sets())
    for number in range(2):
        assert torch.load(tmp_path / f"{number}.pt") == pytest.approx(whole, rel=1e-9)


def test_what_does_not_fit_is_said():
    with pytest.raises(UserError, match=r"metric\.frechet\.samples=1: a set of samples has at least 2"):
        FrechetDistance(samples=1)
    with pytest.raises(UserError, match=r"metric\.frechet\.features=vgg is not known"):
        FrechetDistance(features="vgg")
    with pytest.raises(UserError, match=r"metric\.neighbours\.k=0 must be from 1 to 9999"):
        Neighbours(k=0)

    class Unknown(Gaussian1D):
        features = None

    with pytest.raises(UserError, match=r"metric\.frechet does not fit Unknown: it names no features"):
        FrechetDistance().fit_to(Unknown())
