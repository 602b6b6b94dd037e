"""Every choice of a run is timed against the same run without it, and the networks' sizes are what they are."""

import json
import types
from collections.abc import Iterator

import pytest
from script_modules import imported
from torch import nn

from ganduel.data.mnist import MNIST

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's, which a run silences and pytest lets be heard again


@pytest.fixture(scope="module")
def script() -> Iterator[types.ModuleType]:
    with imported("zoo_cost") as module:
        module.run.quiet()
        yield module


def test_the_file_has_the_ratio_of_each_choice(script, monkeypatch, tmp_path, capsys):
    """Conditions see labels, and nothing else does."""
    path, labelled = tmp_path / "deep" / "zoo.json", {}

    def iterations(work, words):
        labelled[" ".join(words)] = work.data.classes is not None
        return [3.0 if "penalty=[r1]" in words else 2.0] * work.iterations

    monkeypatch.setattr(script, "iterations", iterations)
    monkeypatch.setattr(script, "size", lambda name: {"weights": [len(name), 1]})
    script.main(["--tiny", "--out", str(path)])
    results = json.loads(path.read_text(encoding="utf-8"))
    assert list(results["ratio"]) == script.timed()
    assert {"loss=hinge", "penalty=[lecam]", "penalty_g=[path_length]", "augment=ada"} <= results["ratio"].keys()
    assert {results["ratio"][words] for words in results["ratio"] if words.startswith("penalty=[r1]")} == {1.5}
    assert results["ratio"]["penalty=[]"] == results["ratio"]["penalty=[r2]"] == 1
    assert results["networks"]["mlp"] == {"weights": [3, 1]}
    assert labelled == {words: words.startswith("condition") for words in script.timed()}
    assert "batch_size=64" in results["method"]
    assert "3.00 ms   1.50  penalty=[r1] penalty.r1.every=4" in capsys.readouterr().out


def test_a_lazy_penalty_has_its_share(script, monkeypatch):
    """Due in one of two iterations, 5 and 2 ms; what other work has added in one of the repeats does not count."""
    monkeypatch.setattr(script, "PERIOD", 2)
    assert script.fastest([[5.0, 9.0, 5.0, 2.0], [70.0, 2.0, 6.0, 8.0]]) == 3.5


def test_each_iteration_after_the_warm_up_is_timed(script, monkeypatch):
    """Of DCGAN's networks without norms, so that each penalty can have its slopes."""
    fit, gans = script.blocks.fit, []
    monkeypatch.setattr(script.blocks, "fit", lambda *given: gans.append(fit(*given)))
    times = script.iterations(script.Work(MNIST(), 4, 1, 2, settings=script.DCGAN), ["penalty=[r1]"])
    assert len(times) == 2
    assert min(times) > 0
    modules = [*gans[0].generator.modules(), *gans[0].discriminator.modules()]
    assert [m.out_channels for m in modules if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)] == [32, 16, 1, 16, 32, 64]
    assert not any(isinstance(m, nn.BatchNorm2d | nn.GroupNorm) for m in modules)


def test_the_size_of_networks(script):
    """Affine: A and b of the plane, 2 · 2 · 2 operations; c, v and Q, with 2 · 2 for v·x and 2 · 2 · 2 for Q x."""
    assert script.size("affine") == {"shape": (2,), "weights": [6, 7], "operations": [8, 12]}
