"""`ganduel evaluate`: metrics of finished runs or checkpoints, in one table with the noise floor.

The data are those of the runs' config; the metrics are those named, or else those of the config, or else those that
are applicable to the data.
"""

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
from ganduel.tracking.files import to_json
from ganduel.trust import check_stored

log = logging.getLogger("ganduel")


def evaluate(
    paths: Sequence[Path],
    metrics: Sequence[str] = (),
    samples: int | None = None,
    draws: int = 1,
    live: bool = False,
    device: str = "auto",
    as_json: bool = False,
    trust: bool = False,
    console: Console | None = None,
) -> None:
    """Print a table, or JSON.

    Args:
        paths: folders of runs, or checkpoints.
        metrics: names of metrics; none: those of the runs' configs, or those applicable to the data.
        samples: the number of samples for every metric, instead of its default.
        draws: repetitions of each; more than one give a standard error.
        live: G itself instead of the average of its weights.
        device: "cpu", "cuda", or "auto" for the GPU where there is one.
        as_json: JSON instead of a table.
        trust: whether classes that are not ganduel's may be built, which runs their code.
        console: to print to; None: the terminal.
    """
    if missing := [path for path in paths if not path.exists()]:
        raise UserError(f"{missing[0]} does not exist. Give the folder of a run, or a checkpoint in it.")
    torch_device = choose_device(device)
    sources = [load(path, live, torch_device, trust) for path in paths]
    configs = [config_of(path) for path in paths]
    built = ("data",) if metrics or samples else ("data", "metric")
    for path, config in zip(paths, configs, strict=True):
        check_stored({key: config.get(key) for key in built}, path, "--trust", trust)
    data_nodes = [config["data"] for config in configs]
    if other := next((i for i, node in enumerate(data_nodes) if node != data_nodes[0]), None):
        raise UserError(
            f"{paths[0]} and {paths[other]} were trained on different data ({describe(data_nodes[0])}; "
            f"{describe(data_nodes[other])}). Evaluate them apart."
        )
    schema.check_target(data_nodes[0], "data")
    data = build(data_nodes[0])
    requested = named(metrics, data, samples) if metrics or samples else configured(configs) or named((), data)
    evaluation = Evaluation(data, requested, draws, torch_device)
    evaluation.check_real()
    results = []
    for path, source in zip(paths, sources, strict=True):
        with bar(f"evaluating {path.name}", evaluation.total) as advance:
            results.append(evaluation(source.generator, advance))
    console = console or Console()
    if as_json:
        rows = [to_dict(*row) for row in zip(paths, sources, results, strict=True)]
        console.print_json(to_json({"runs": rows, "protocols": evaluation.protocols}))
    else:
        console.print(make_table(paths, sources, results))


def config_of(path: Path) -> Mapping[str, Any]:
    """The config in a run's latest checkpoint, or in the given one."""
    return checkpoints.read(checkpoints.latest(path) if path.is_dir() else path)["ganduel"]["config"]


def configured(configs: Sequence[Mapping[str, Any]]) -> list[SampleMetric]:
    """The metrics of the runs' config, if all have the same; else none."""
    nodes = configs[0].get("metric") or {}
    if any((config.get("metric") or {}) != nodes for config in configs):
        log.warning("the runs were configured with different metrics; those that fit the data are taken")
        return []
    for name, node in nodes.items():
        schema.check_target(node, f"metric.{name}")
    return [build(node) for node in nodes.values()]


def describe(node: Mapping[str, Any]) -> str:
    """The data on one line: the class and its options."""
    options = ", ".join(f"{key}={value}" for key, value in node.items() if not key.startswith("_"))
    return f"{node['_target_'].rpartition('.')[2]} {options}"


def to_dict(path: Path, source: Source, values: Mapping[str, Value]) -> dict[str, Any]:
    """One run's results in plain containers."""
    metrics = {key: asdict(value) for key, value in values.items()}
    return {"path": str(path), "iteration": source.iteration, "weights": source.name, "metrics": metrics}


def make_table(paths: Sequence[Path], sources: Sequence[Source], results: Sequence[Mapping[str, Value]]) -> Table:
    """A column for each run and for the floor, a row for each metric; transposed for more than two runs."""
    names = [f"{name} ({source.iteration:,})" for name, source in zip(short_names(paths), sources, strict=True)]
    columns = [[cell(value) for value in values.values()] for values in results]
    floor = [number(value.floor) for value in results[0].values()]
    view = Table(caption="(iterations); floor: real samples instead of generated ones", caption_justify="left")
    if len(results) <= 2:
        view.add_column("metric", no_wrap=True)
        for name in (*names, "floor"):
            view.add_column(name, justify="right", overflow="fold")
        for row in zip(results[0], *columns, floor, strict=True):
            view.add_row(*row)
    else:
        view.add_column("run", overflow="fold", ratio=1, min_width=16)
        for key in results[0]:
            view.add_column(key, justify="right", overflow="fold")
        for name, column in zip(names, columns, strict=True):
            view.add_row(name, *column)
        view.add_section()
        view.add_row("floor", *floor)
    return view


def short_names(paths: Sequence[Path]) -> list[str]:
    """RUN, or RUN/FILE for a checkpoint; whole paths where these are not distinct."""
    names = [path.name if path.is_dir() else f"{path.resolve().parent.parent.name}/{path.name}" for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def cell(value: Value) -> str:
    """19.8, or 19.8 ± 0.2."""
    return number(value.value) + ("" if value.error is None else f" ± {number(value.error)}")
