"""`ganduel benchmark`: times of a step and of a population, by scripts/benchmark.py of the checkout, with a chart."""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ganduel.errors import UserError
from ganduel.plot import BLUE, GREY, new_figure, save

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


def benchmark(
    batch: list[int],
    rounds: int,
    iterations: int,
    device: str,
    population: list[str] | None = None,
    out: Path | None = None,
    picture: Path | None = None,
) -> None:
    """Time all loops; print tables, then one sentence for each batch size and each population.

    Args:
        batch: batch sizes.
        rounds: blocks of each loop at each batch size.
        iterations: timed iterations per block.
        device: cpu or cuda.
        population: tasks with numbers of members, such as ring8:32.
        out: a JSON file for the results.
        picture: a PNG or SVG chart of them.

    Raises:
        UserError: the package is installed without its checkout, or the picture's name says no format.
    """
    if not (SCRIPTS / "benchmark.py").is_file():
        raise UserError("ganduel benchmark runs scripts/benchmark.py, which is not installed. Use it from a checkout.")
    if picture is not None and picture.suffix not in (".png", ".svg"):
        raise UserError(f"--picture {picture} says no format. Give a file that ends in .png or .svg.")
    if min(*batch, rounds, iterations) < 1:
        raise UserError("--batch, --rounds and --iterations take numbers from 1.")
    sys.path.insert(0, str(SCRIPTS))  # the script imports its neighbour
    script = import_module("benchmark")
    counts = ["--rounds", str(rounds), "--iterations", str(iterations)]
    arguments = ["--batch", *map(str, batch), *counts, "--device", device]
    arguments += ["--population", *population] if population else []
    results = script.main([*arguments, *([] if out is None else ["--out", str(out)])])
    for n in results["step"]:
        print(sentence(n, results))
    for name, times in results["population"].items():
        print(f"{name}: {times['ratio']:.1f} times as fast together as one after another")
    if picture is not None:
        draw(results["step"], picture)
        print(picture)


def sentence(batch: str, results: Mapping[str, Any]) -> str:
    """Our time at one batch size, and its ratios to the others."""
    ratios = results["ratio"][batch]["ours"]
    return (
        f"batch {batch}: {results['step'][batch]['ours']:.2f} ms per iteration, {ratios['hand_tuned']:.2f} times the "
        f"hand-tuned loop, {1 / ratios['pytorch_gan']:.2f} times as fast as PyTorch-GAN's"
    )


def draw(step: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Bars of milliseconds per iteration, a group for each batch size."""
    figure, axes = new_figure("milliseconds per iteration", (7.0, 0.6 + 1.7 * len(step)))
    y, names, ys = 0, [], []
    for batch, times in step.items():
        for name, milliseconds in times.items():
            axes.barh(y, milliseconds, color=BLUE if name.startswith("ours") else GREY)
            axes.text(milliseconds, y, f" {milliseconds:.1f}", va="center", fontsize=8)
            names.append(f"{name}, batch {batch}")
            ys.append(y)
            y -= 1
        y -= 1
    axes.set_yticks(ys, names, fontsize=8)
    axes.margins(x=0.12)
    save(figure, path)
