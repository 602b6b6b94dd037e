"""A user's DataLoader as data: its minibatches in its order, what is left out of a pass, and what cannot work."""

from functools import partial

import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from ganduel import GAN, Batches, LoaderData, Optim, UserError
from ganduel.data import loader as module
from ganduel.loss.nonsaturating import NonSaturating
from ganduel.model.mlp import MLPDiscriminator, MLPGenerator

POINTS = torch.arange(10.0).view(10, 1)


def taken(data: LoaderData, n: int, batch_size: int = 4, **rows: slice) -> list[list[float]]:
    return [data.minibatch(0, p, batch_size, **rows)[0].flatten().tolist() for p in range(n)]


def test_passes_follow_each_other_without_what_fills_no_minibatch():
    """The last two of ten are left out, with drop_last or without."""
    expected = [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]
    for drop_last in (False, True):
        data = LoaderData(DataLoader(POINTS, batch_size=4, drop_last=drop_last))
        assert (data.shape, data.size, data.classes, data.is_image) == ((1,), 10, None, False)
        assert Batches(data, torch.randn, batch_size=4).iterations_per_epoch == 2
        assert taken(data, 3) == expected


def test_a_position_that_is_asked_for_again_has_the_same_minibatch():
    """Pictures of real samples and members of a population must not take what another is to be given."""
    data = LoaderData(DataLoader(POINTS, batch_size=4))
    assert taken(data, 1) == taken(data, 1)
    assert data.examples(0, 3).flatten().tolist() == [0, 1, 2]
    assert data.minibatch(0, 1, 4)[0].flatten().tolist() == [4, 5, 6, 7]


def test_labels_are_there_if_they_are_asked_for():
    images = torch.full((4, 1, 2, 2), 255, dtype=torch.uint8)
    loader = DataLoader(TensorDataset(images, torch.tensor([0, 2, 1, 0])), batch_size=2)
    assert LoaderData(loader).minibatch(0, 0, 2)[1] is None
    data = LoaderData(loader, classes=3)
    samples, labels = data.minibatch(0, 0, 2)
    assert data.is_image
    assert (samples == 1).all()
    assert labels is not None
    assert labels.tolist() == [0, 2]
    with pytest.raises(UserError, match=r"labels from 0 to 2, and there are 2 classes, from 0"):
        LoaderData(loader, classes=2).minibatch(0, 0, 2)


def test_each_rank_takes_what_its_own_loader_gives():
    """Of 8 samples a pass, 4 on each of two ranks; the passes of a distributed sampler are in orders of their own."""
    seen = []
    for rank in (0, 1):
        sampler = DistributedSampler(range(8), num_replicas=2, rank=rank, seed=3)
        data = LoaderData(DataLoader(POINTS[:8], batch_size=2, sampler=sampler))
        seen.append(taken(data, 4, rows=slice(2 * rank, 2 * rank + 2)))
    first, second = ([x for rank in seen for part in rank[i : i + 2] for x in part] for i in (0, 2))
    assert sorted(first) == sorted(second) == list(range(8))
    assert first != second
    with pytest.raises(UserError, match=r"gives 2 samples .* 4 are needed by each of 2 ranks\. Try .*batch_size=4"):
        taken(LoaderData(DataLoader(POINTS, batch_size=2)), 1, 8, rows=slice(4))


def test_ranks_that_take_the_same_samples_are_refused(monkeypatch):
    """Without a DistributedSampler an update would see batch_size / ranks different samples, and nobody would know."""
    data = LoaderData(DataLoader(POINTS, batch_size=2))
    monkeypatch.setattr(module, "has_several", lambda: True)
    monkeypatch.setattr(module, "mean_over_ranks", lambda x: x + 1)
    assert taken(data, 1, rows=slice(2)) == [[0, 1]]
    monkeypatch.setattr(module, "mean_over_ranks", lambda x: x)
    with pytest.raises(UserError, match=r"gives each rank the same samples\. Give its DataLoader a DistributedSampler"):
        taken(LoaderData(data.loader), 1, rows=slice(2))


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (torch.eye(10), r"torch\.float32 of shape \(10, 10\)"),  # each number of which would be a label
        (torch.zeros(10, 1).long(), r"torch\.int64 of shape \(10, 1\)"),
        (torch.zeros(10), r"torch\.float32 of shape \(10,\)"),
        (["cat"] * 10, "list"),
    ],
)
def test_labels_are_one_whole_number_per_sample(labels, found: str):
    with pytest.raises(UserError, match=rf"gives labels as {found}, and 10 whole numbers are asked for"):
        taken(LoaderData([(POINTS, labels)], classes=10), 1, 10)


@pytest.mark.parametrize(
    ("loader", "classes", "message"),
    [
        (DataLoader(POINTS, batch_size=8), None, r"gives 8 samples at a time, and 4 are needed\. Try .*batch_size=8"),
        (DataLoader(POINTS[:2], batch_size=4), None, r"gives 2 samples at a time, and 4 are needed"),
        (DataLoader(POINTS[:3], batch_size=4, drop_last=True), None, r"the loader gives no minibatch"),
        (iter([POINTS]), None, r"the loader ends after one pass"),
        ([{"image": POINTS}], None, r"gives a dict, and samples are asked for\. Convert it in its collate_fn"),
        ([POINTS], 3, r"gives a Tensor, and \(samples, labels\) are asked for"),
        ([torch.zeros(4, 1, 2, 2, dtype=torch.int64)], None, r"images of torch\.int64\. Give bytes, or floats"),
        ([POINTS[:4], POINTS[:4] / 0], None, r"gives NaN in 4 of 4 samples .* in a minibatch of pass 1"),
        ([POINTS[:4], POINTS[:4].view(4, 1, 1)], None, r"samples of shape \(1, 1\) after some of \(1,\)"),
    ],
)
def test_loaders_that_cannot_work(loader, classes, message: str):
    with pytest.raises(UserError, match=message):
        taken(LoaderData(loader, classes), 2)


def test_samples_to_compare_with_are_not_known():
    data = LoaderData([POINTS])
    assert data.fingerprint is None
    with pytest.raises(UserError, match=r"LoaderData has no samples to compare with"):
        data.reference("train", 2)


@pytest.mark.filterwarnings("ignore")  # the Trainer is left as it comes, and warns
@pytest.mark.usefixtures("untyped")
def test_a_gan_trains_on_a_shuffling_loader(tmp_path):
    """The order of a pass follows from the seed and the iteration in which it begins: two runs see the same."""

    class Recorded(LoaderData):
        def minibatch(self, *arguments):
            samples, labels = super().minibatch(*arguments)
            self.seen.append(samples.flatten().tolist())
            return samples, labels

    def run() -> list[list[float]]:
        data = Recorded(DataLoader(POINTS, batch_size=4, shuffle=True))
        data.seen = []
        networks = MLPGenerator((1,), noise_dim=2, hidden=[4]), MLPDiscriminator((1,), hidden=[4])
        optim = [Optim(partial(torch.optim.SGD, lr=0.0)) for _ in range(2)]
        batches = Batches(data, networks[0].draw, k=2, batch_size=4)
        options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = Trainer(max_epochs=3, default_root_dir=tmp_path, **options)
        trainer.fit(GAN(*networks, NonSaturating(), batches, *optim))
        assert trainer.global_step == 3
        return data.seen

    torch.manual_seed(0)
    seen = run()
    passes = [a + b for a, b in zip(seen[0::2], seen[1::2], strict=True)]
    assert all(len(set(samples)) == 8 for samples in passes)
    assert len({tuple(samples) for samples in passes}) == 3
    torch.manual_seed(1)
    assert run() == seen
