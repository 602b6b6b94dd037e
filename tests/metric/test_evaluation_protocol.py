"""What a number depends on is in its protocol, and real samples are looked at once for each."""

import torch
from replay import Replay

from ganduel.data.ring8 import Ring8
from ganduel.metric.evaluation import Evaluation
from ganduel.metric.frechet import FrechetDistance
from ganduel.metric.kernel import KernelDistance
from ganduel.metric.neighbours import Neighbours


def test_protocol_hash_follows_what_the_number_depends_on():
    def hash_of(world, metric, draws=1):
        evaluation = Evaluation(world, [metric], draws)
        return evaluation(Replay(torch.randn(50, 2)))[next(iter(evaluation.protocols))].hash

    base = hash_of(Ring8(), FrechetDistance(samples=50))
    assert base == hash_of(Ring8(), FrechetDistance(samples=50))
    others = [
        hash_of(Ring8("pacgan"), FrechetDistance(samples=50)),
        hash_of(Ring8(), FrechetDistance(samples=49)),
        hash_of(Ring8(), FrechetDistance(samples=50), draws=2),
        hash_of(Ring8(), KernelDistance(samples=50)),
        hash_of(Ring8(), Neighbours(samples=50)),
        hash_of(Ring8(), Neighbours(samples=50, k=4)),
    ]
    assert len({base, *others}) == 7


def test_real_samples_are_looked_at_once_in_a_process(monkeypatch):
    """By evaluations of the same; whatever differs has them looked at anew."""
    looks, look = [], Evaluation.accumulate_real
    monkeypatch.setattr(Evaluation, "accumulate_real", lambda self, *rest: looks.append(self) or look(self, *rest))
    fake = torch.randn(50, 2)

    class Moved(Ring8):
        """Other samples under the same names, in one split or the other."""

        def __init__(self, split):
            super().__init__()
            self.split = split

        def reference(self, split, n, draw=0):
            return super().reference(split, n, draw) + (1.0 if split == self.split else 0.0)

    def measured(world, metric, *rest):
        evaluation = Evaluation(world, [metric], *rest)
        expected = evaluation.total
        seen = []
        value = next(iter(evaluation(Replay(fake), seen.append).values()))
        assert sum(seen) == expected
        return value

    first, again = (measured(Ring8(), FrechetDistance(samples=50)) for _ in range(2))
    assert first == again
    assert len(looks) == 1
    others = [
        (Moved("test"), FrechetDistance(samples=50)),
        (Moved("train"), FrechetDistance(samples=50)),
        (Ring8(), FrechetDistance(samples=49)),
        (Ring8(), KernelDistance(samples=50)),
        (Ring8(), FrechetDistance(samples=50), 2),
    ]
    for words in others:
        assert measured(Ring8(), FrechetDistance(samples=50)) == first
        before = len(looks)
        measured(*words)
        assert len(looks) > before, words
    assert measured(Ring8(), FrechetDistance(samples=50)) == first
    here, there = (Evaluation(Ring8(), [FrechetDistance(samples=50)], device=name) for name in ("cpu", "cpu:0"))
    assert here.reference_key != there.reference_key
    before = len(looks)
    for _ in range(2):  # of two ranks the other may be a process that has seen nothing yet, and would wait for this one
        Evaluation(Ring8(), [FrechetDistance(samples=50)], ranks=(0, 2)).prepare()
    assert len(looks) == before + 2
    assert measured(Ring8(), FrechetDistance(samples=50)) == first


def test_raised_version_of_a_metric_changes_the_hash(monkeypatch):
    before = Evaluation(Ring8(), [FrechetDistance(samples=50)])
    before.prepare()
    monkeypatch.setattr(FrechetDistance, "version", 99)
    after = Evaluation(Ring8(), [FrechetDistance(samples=50)])
    after.prepare()
    assert before.protocols["fd/points_50"]["hash"] != after.protocols["fd/points_50"]["hash"]
