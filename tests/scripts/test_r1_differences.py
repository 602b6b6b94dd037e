"""R1's gradient by differences is that of a double backward pass where D is smooth, and is timed against it."""

import json
import types
from collections.abc import Iterator

import pytest
import torch
from script_modules import imported
from torch import nn


class Smooth(nn.Module):
    """D(x) = w · tanh(A x)."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)


@pytest.fixture(scope="module")
def script() -> Iterator[types.ModuleType]:
    with imported("r1_differences") as module:
        yield module


@pytest.fixture(scope="module")
def smooth() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return Smooth().double(), torch.randn(4, 3, dtype=torch.float64)


def error(script, estimate, smooth, distance: float) -> float:
    a, b = (script.gradient(f, *smooth, distance) for f in (estimate, script.exact))
    return ((a - b).norm() / b.norm()).item()


def test_orders_of_the_errors(script, smooth):
    """A tenth of the distance is a hundredth of the error of central differences, a tenth of that of one-sided ones."""
    central = [error(script, script.central, smooth, distance) for distance in (1e-2, 1e-3)]
    assert central[0] < 1e-3
    assert central[0] / central[1] == pytest.approx(100, rel=0.05)
    one_sided = [error(script, script.one_sided, smooth, distance) for distance in (1e-2, 1e-3)]
    assert one_sided[0] / one_sided[1] == pytest.approx(10, rel=0.2)


def test_random_directions_are_right_on_average(script, smooth):
    net, x = smooth
    torch.manual_seed(0)
    many = x.repeat(4000, 1)
    a, b = script.gradient(script.random, net, many, 1e-3), script.gradient(script.exact, net, x)
    assert ((a - b).norm() / b.norm()).item() < 0.05


@pytest.mark.filterwarnings("ignore")  # Lightning's
def test_the_file_has_errors_and_speedups(script, tmp_path, capsys):
    path = tmp_path / "deep" / "r1.json"
    script.main(["--tiny", "--network", "mlp", "--batch", "4", "--out", str(path)])
    (results,) = json.loads(path.read_text(encoding="utf-8"))["networks"].values()
    times = results["milliseconds"]
    whole = {name: times["iteration"] + times[name] for name in ("exact", "central", "one_sided", "random")}
    assert results["speedup"] == {name: whole["exact"] / value for name, value in whole.items()}
    assert list(results["error"]) == ["central", "one_sided", "random"]
    assert "mlp central: speedup" in capsys.readouterr().out
