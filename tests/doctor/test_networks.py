"""Faults of networks, each planted in a small one."""

import pytest
import torch
from torch import nn

from ganduel.doctor.networks import large_eps, out_of_reach, stale_buffers
from ganduel.ema import EMA
from ganduel.model.base import Generator


class Ending(Generator):
    """A hidden layer with a norm, and an activation at the end."""

    def __init__(self, end: nn.Module | None = None, eps: float = 1e-5):
        super().__init__(3)
        self.net = nn.Sequential(
            nn.Linear(3, 32), nn.BatchNorm1d(32, eps), nn.LeakyReLU(0.2), nn.Linear(32, 16), end or nn.Identity()
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.net(z).view(-1, 1, 4, 4)


def test_an_eps_that_was_to_be_momentum():
    """BatchNorm2d(64, 0.8), as in several GAN codes: eps is 0.8, momentum the default."""
    (finding,) = large_eps(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, 0.8), nn.BatchNorm2d(4, 0.8)), "D")
    assert finding.evidence == "BatchNorm2d 1 of D has eps=0.8 and 1 more norms"
    assert "BatchNorm2d(width, momentum=0.8)" in finding.advice


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_an_eps_of_the_usual_size(eps):
    assert large_eps(nn.Sequential(nn.BatchNorm2d(4, eps), nn.LayerNorm(4, eps), nn.GroupNorm(1, 4, eps)), "D") == []


def a_checkpoint(copies_buffers: bool) -> dict[str, torch.Tensor]:
    """The state of a G after ten batches, and of its average."""
    generator = Ending()
    average = EMA(generator, 1.0)
    for t in range(10):
        generator(torch.randn(8, 3))
        average.update(generator, t + 1, 8)
        if not copies_buffers:
            average.net.load_state_dict(average.net.state_dict() | dict(Ending().named_buffers()))
    return {
        **{f"generator.{key}": value for key, value in generator.state_dict().items()},
        **{f"ema.{key}": value for key, value in average.state_dict().items()},
    }


def test_an_average_without_the_buffers():
    (finding,) = stale_buffers(a_checkpoint(copies_buffers=False))
    assert finding.evidence == "BatchNorm net.1 has statistics of 10 batches in G, of 0 in its average"


def test_an_average_that_copies_them():
    assert stale_buffers(a_checkpoint(copies_buffers=True)) == []
    assert stale_buffers({}) == []


UNIT = torch.rand(50, 1, 4, 4, generator=torch.Generator().manual_seed(0))
SIGNED = 2 * UNIT - 1


@pytest.mark.parametrize(
    ("end", "real", "evidence"),
    [
        (nn.Sigmoid(), SIGNED, "G's samples are in [0, 1] whatever the noise, and 50% of the real values are below"),
        (nn.Tanh(), 2 + UNIT, "G's samples are in [-1, 1] whatever the noise, and 100% of the real values are above"),
        (nn.Tanh(), SIGNED, None),
        (nn.Tanh(), UNIT, None),  # within reach; the range is another finding
        (None, 255 * UNIT, None),
        (nn.Sigmoid(), UNIT, None),
    ],
)
def test_data_that_g_cannot_make(end, real, evidence):
    torch.manual_seed(0)
    findings = out_of_reach(Ending(end), real, is_image=True)
    assert [finding.evidence for finding in findings] == ([] if evidence is None else [evidence])


def test_a_collapsed_g_is_not_bounded():
    """All its samples are at one place, and the data are not: that is another fault."""
    generator = Ending()
    nn.init.zeros_(generator.net[3].weight)  # type: ignore[arg-type]
    nn.init.constant_(generator.net[3].bias, 0.4)  # type: ignore[arg-type]
    assert out_of_reach(generator, SIGNED, is_image=False) == []
