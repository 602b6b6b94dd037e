"""Algorithm 1's order, whatever its parts are, and the two helpers that its statement needs."""

import pytest
import torch
from torch import nn

from ganduel import algorithm
from ganduel.algorithm import Algorithm1, frozen, full
from ganduel.errors import UserError


class Sum:
    """A loss form that tells of its calls; G's may look at real samples."""

    def __init__(self, seen, generator_uses_real):
        self.seen, self.generator_uses_real = seen, generator_uses_real

    def discriminator(self, real, fake):
        self.seen.append("loss of D")
        return (real + fake).mean()

    def generator(self, real, fake):
        self.seen.append("loss of G" if real is None else "loss of G with real")
        return fake.mean()


class Written(Algorithm1):
    """Writes down what it is asked for; a sample is one number, and so is a duel's weight."""

    def __init__(self, k=1, one_pass=True, uses_real=False, out=1):
        self.seen = []
        self.generator, self.discriminator = nn.Linear(1, 1), nn.Linear(1, out)
        self.generator.register_forward_hook(lambda *_: self.seen.append(f"G grad={torch.is_grad_enabled()}"))
        self.discriminator.register_forward_hook(lambda net, x, y: self.seen.append(f"D of {len(x[0])}"))
        self.discriminator.register_forward_hook(lambda net, x, y: y.squeeze(1) if out == 1 else y)
        self.loss, self.k, self.one_pass = Sum(self.seen, uses_real), k, one_pass

    def noise(self, t):
        return torch.arange(3.0 * (self.k + 1)).view(self.k + 1, 3, 1)

    def minibatch(self, position):
        self.seen.append(f"data {position}")
        return torch.ones(3, 1)

    def reseed(self, t, update):
        self.seen.append(f"update {t}.{update}")

    def penalise(self, real, fake):
        self.seen.append("penalty")
        return real.new_zeros(())

    def descend(self, net, loss):
        trained = all(p.requires_grad for p in net.parameters())
        frozen_d = not any(p.requires_grad for p in self.discriminator.parameters())
        self.seen.append(f"descend {'D' if net is self.discriminator else 'G'} {trained} {frozen_d}")
        return loss.detach()

    def follow(self, t):
        self.seen.append(f"follow {t}")


def update_of_d(t, j, passes):
    return [f"update {t}.{j}", "G grad=False", *passes, "loss of D", "penalty", "descend D True False"]


@pytest.mark.parametrize(("one_pass", "passes"), [(True, ["D of 6"]), (False, ["D of 3", "D of 3"])])
def test_k_updates_of_d_each_on_fresh_data_come_before_one_of_g(one_pass, passes):
    duel = Written(k=2, one_pass=one_pass)
    duel.iterate(5)
    of_g = ["update 5.2", "G grad=True", "D of 3", "loss of G", "descend G True True", "follow 5"]
    assert duel.seen == ["data 10", "data 11", *update_of_d(5, 0, passes), *update_of_d(5, 1, passes), *of_g]


def test_while_a_graph_is_recorded_g_makes_its_samples_beside_the_last_update_of_d(monkeypatch):
    """After those for D, whose batch norm comes first; what they are made of is the same."""
    plain, recorded = Written(k=2), Written(k=2)
    recorded.generator.load_state_dict(plain.generator.state_dict())
    recorded.discriminator.load_state_dict(plain.discriminator.state_dict())
    expected = plain.iterate(5)
    monkeypatch.setattr(algorithm, "recording", lambda: True)
    assert all(torch.equal(value, expected[key]) for key, value in recorded.iterate(5).items())
    (ahead,) = (i for i, word in enumerate(recorded.seen) if word == "G grad=True")
    assert recorded.seen[ahead - 2 : ahead + 2] == ["update 5.1", "G grad=False", "G grad=True", "D of 6"]
    recorded.seen.pop(ahead)
    assert recorded.seen == [word for word in plain.seen if word != "G grad=True"]


def test_each_update_of_d_has_the_minibatch_drawn_for_it():
    duel, reals = Written(k=3), []
    duel.minibatch = lambda position: torch.full((3, 1), float(position))
    duel.penalise = lambda real, fake: reals.append(real[0].item()) or real.new_zeros(())
    duel.iterate(2)
    assert reals == [6, 7, 8]


def test_d_looks_at_real_samples_in_gs_update_only_where_the_loss_asks():
    duel = Written(uses_real=True)
    duel.iterate(0)
    assert duel.seen[-5:] == ["D of 3", "D of 3", "loss of G with real", "descend G True True", "follow 0"]


def test_what_an_iteration_returns_has_no_graph():
    outputs = Written().iterate(0)
    assert set(outputs) == {"loss/d", "loss/g", "loss/penalty", "grad/norm_d", "grad/norm_g", "logit/real",
                            "logit/fake", "logit/fake_g"}  # fmt: skip
    assert not any(value.requires_grad for value in outputs.values())


def test_a_d_with_more_than_one_logit_a_sample_is_refused():
    with pytest.raises(UserError, match=r"one logit a sample, shape \(batch,\), not \(6, 2\)"):
        Written(out=2).iterate(0)


def test_frozen_leaves_what_was_frozen_before():
    net = nn.Linear(2, 2)
    net.bias.requires_grad_(False)
    with frozen(net):
        assert [p.requires_grad for p in net.parameters()] == [False, False]
    assert [p.requires_grad for p in net.parameters()] == [True, False]


@pytest.mark.parametrize(
    ("given", "got"), [("bfloat16", "float32"), ("float16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_logits_are_in_float32_at_least(given: str, got: str):
    assert full(torch.ones(2, dtype=getattr(torch, given))).dtype == getattr(torch, got)
