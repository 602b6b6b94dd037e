"""`ganduel evaluate`: metrics of finished runs or checkpoints, in one table beside the floor.

The data are those that the runs were trained on, by their own config; the metrics are those of the config, or those
that fit the data, unless some are named.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ganduel import checkpoint as checkpoints
from ganduel.build import build
from ganduel.command.sample import Source, bar, choose_device, load
from ganduel.errors import UserError
from ganduel.metric.base import SampleMetric
from ganduel.metric.evaluation import Evaluation, Value, number
from ganduel.metric.registry import named
from ganduel.run import schema

log = logging.getLogger("ganduel")


def evaluate(
    paths: Sequence[Path],
    metrics: Sequence[str] = (),
    samples: int | None = None,
    draws: int = 1,
    live: bool = False,
    device: str = "auto",
    as_json: bool = False,
    console: Console | None = None,
) -> None:
    """Print a table, or JSON.

    Args:
        paths: folders of runs, or checkpoints.
        metrics: names of metrics; none: those of the runs' configs, or those that fit the data.
        samples: how many each metric takes, instead of its own number.
        draws: repetitions of each; more than one give a standard error.
        live: G itself instead of the average of its weights.
        device: "cpu", "cuda", or "auto" for the GPU where there is one.
        as_json: JSON instead of a table.
        console: where to; None: the terminal.
    """
    if missing := [path for path in paths if not path.exists()]:
        raise UserError(f"{missing[0]} does not exist. Give the folder of a run, or a checkpoint in it.")
    place = choose_device(device)
    sources = [load(path, live, place) for path in paths]
    configs = [config_of(path) for path in paths]
    data_nodes = [config["data"] for config in configs]
    if other := next((i for i, node in enumerate(data_nodes) if node != data_nodes[0]), None):
        raise UserError(
            f"{paths[0]} and {paths[other]} were trained on different data ({brief(data_nodes[0])}; "
            f"{brief(data_nodes[other])}). Evaluate them apart."
        )
    schema.check_target(data_nodes[0], "data")
    data = build(data_nodes[0])
    chosen = named(metrics, data, samples) if metrics or samples else own(configs) or named((), data)
    evaluation = Evaluation(data, chosen, draws, place)
    evaluation.check_real()
    found = []
    for path, source in zip(paths, sources, strict=True):
        with bar(f"evaluating {path.name}", evaluation.total) as watch:
            found.append(evaluation(source.generator, watch))
    console = console or Console()
    if as_json:
        rows = [plain(*row) for row in zip(paths, sources, found, strict=True)]
        console.print_json(json.dumps({"runs": rows, "protocols": evaluation.protocols}))
    else:
        console.print(table(paths, sources, found))


def config_of(path: Path) -> Mapping[str, Any]:
    """The config that a run's newest checkpoint, or the given one, carries."""
    return checkpoints.read(checkpoints.latest(path) if path.is_dir() else path)["ganduel"]["config"]


def own(configs: Sequence[Mapping[str, Any]]) -> list[SampleMetric]:
    """The metrics that the runs were configured with, if it is the same for all."""
    nodes = configs[0].get("metric") or {}
    if any((config.get("metric") or {}) != nodes for config in configs):
        log.warning("the runs were configured with different metrics; those that fit the data are taken")
        return []
    for name, node in nodes.items():
        schema.check_target(node, f"metric.{name}")
    return [build(node) for node in nodes.values()]


def brief(node: Mapping[str, Any]) -> str:
    """The data in a few words: the class and its options."""
    options = ", ".join(f"{key}={value}" for key, value in node.items() if not key.startswith("_"))
    return f"{node['_target_'].rpartition('.')[2]} {options}"


def plain(path: Path, source: Source, values: Mapping[str, Value]) -> dict[str, Any]:
    """One run's results in plain containers."""
    metrics = {key: asdict(value) for key, value in values.items()}
    return {"path": str(path), "iteration": source.iteration, "weights": source.name, "metrics": metrics}


def table(paths: Sequence[Path], sources: Sequence[Source], found: Sequence[Mapping[str, Value]]) -> Table:
    """Runs, with the floor as the last of them, against metrics: of up to two runs each is a column, of more a row."""
    names = [f"{name} ({source.iteration:,})" for name, source in zip(short(paths), sources, strict=True)]
    columns = [[cell(value) for value in values.values()] for values in found]
    floor = [number(value.floor) for value in found[0].values()]
    view = Table(caption="(iterations); floor: real samples in the place of generated ones", caption_justify="left")
    if len(found) <= 2:
        view.add_column("metric", no_wrap=True)
        for name in (*names, "floor"):
            view.add_column(name, justify="right", overflow="fold")
        for row in zip(found[0], *columns, floor, strict=True):
            view.add_row(*row)
    else:
        view.add_column("run", overflow="fold", ratio=1, min_width=16)
        for key in found[0]:
            view.add_column(key, justify="right", overflow="fold")
        for name, column in zip(names, columns, strict=True):
            view.add_row(name, *column)
        view.add_section()
        view.add_row("floor", *floor)
    return view


def short(paths: Sequence[Path]) -> list[str]:
    """The runs' names, of a checkpoint with its file; whole paths where names do not tell the runs apart."""
    names = [path.name if path.is_dir() else f"{path.resolve().parent.parent.name}/{path.name}" for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def cell(value: Value) -> str:
    """19.8, or 19.8 ± 0.2."""
    return number(value.value) + ("" if value.error is None else f" ± {number(value.error)}")
