"""`ganduel evaluate`: metrics of finished runs or checkpoints, in one table with the noise floor.

The data are those of the runs' config; the metrics are those named, or else those of the config, or else those that
are applicable to the data.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ganduel import checkpoint as checkpoints
from ganduel.command.sample import bar
from ganduel.compare.labels import distinguishing
from ganduel.compare.reading import find_runs
from ganduel.errors import UserError
from ganduel.factory.data import build_data, check_data, moved, recorded_data
from ganduel.factory.part import build
from ganduel.metric.base import SampleMetric
from ganduel.metric.evaluation import Evaluation, Value, number
from ganduel.metric.registry import named
from ganduel.run import schema
from ganduel.tracking.files import to_json
from ganduel.trained.generator import TrainedGenerator
from ganduel.trained.load import choose_device, load
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
    data_dir: str | None = None,
    console: Console | None = None,
) -> None:
    """Print a table, or JSON.

    Args:
        paths: folders of runs or of sweeps, or checkpoints; other files are passed over.
        metrics: names of metrics; none: those of the runs' configs, or those applicable to the data.
        samples: the number of samples for every metric, instead of its default.
        draws: repetitions of each; more than one give a standard error.
        live: G itself instead of the average of its weights.
        device: "cpu", "cuda", or "auto" for the GPU where there is one.
        as_json: JSON instead of a table.
        trust: whether classes that are not ganduel's may be built, which runs their code.
        data_dir: where the runs' data are now; None: where they were.
        console: to print to; None: the terminal.
    """
    if missing := [path for path in paths if not path.exists()]:
        raise UserError(f"{missing[0]} does not exist. Give the folder of a run, or a checkpoint in it.")
    paths = runs_and_checkpoints(paths)
    sources = [load(path, live, device, trust, how="--trust") for path in paths]
    configs = [config_of(path) for path in paths]
    built = ("data",) if metrics or samples else ("data", "metric")
    for path, config in zip(paths, configs, strict=True):
        parts = {key: config.get(key) for key in built}
        check_stored({**parts, "run": {"data": recorded_data(config)}}, path, "--trust", trust)
    if data_dir is not None:
        configs = [moved(config, data_dir) for config in configs]
    data_nodes = [config["data"] for config in configs]
    check_same(paths, "on different data", data_nodes, describe)
    classes = [source.classes for source in sources]
    check_same(paths, "with other classes", classes, lambda n: str(n or "none"))
    schema.check_target(data_nodes[0], "data")
    data = build_data(configs[0])
    for path, config in zip(paths, configs, strict=True):
        check_data(config, data, str(path))
    requested = named(metrics, data, samples) if metrics or samples else configured(configs) or named((), data)
    evaluation = Evaluation(data, requested, draws, choose_device(device))
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
        console.print(*make_tables(paths, sources, results, console), sep="\n")


def check_same(paths: Sequence[Path], how: str, values: Sequence[Any], shown: Callable[[Any], str]) -> None:
    """Refuse runs that differ in how they were trained."""
    if other := next((i for i, value in enumerate(values) if value != values[0]), None):
        raise UserError(
            f"{paths[0]} and {paths[other]} were trained {how} ({shown(values[0])}; {shown(values[other])}). "
            "Evaluate them apart."
        )


def runs_and_checkpoints(paths: Sequence[Path]) -> list[Path]:
    """The runs in the folders, at any depth, that have a checkpoint, and the checkpoints; with a line on what is not.

    Where there is neither, the paths are returned as they are: loading them says what is wrong.
    """
    usable, others = [], []
    entries = [entry for path in paths for entry in (find_runs(path) if path.is_dir() else [path])]
    for path in dict.fromkeys(entries):
        is_usable = checkpoints.has_checkpoint(path) if path.is_dir() else path.suffix == ".ckpt"
        (usable if is_usable else others).append(path)
    if not usable:
        return list(paths)
    for path in others:
        log.warning("left out: %s %s", path, "has no checkpoint" if path.is_dir() else "is no checkpoint")
    return usable


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


def to_dict(path: Path, source: TrainedGenerator, values: Mapping[str, Value]) -> dict[str, Any]:
    """One run's results in plain containers."""
    metrics = {key: asdict(value) for key, value in values.items()}
    return {"path": str(path), "iteration": source.iteration, "weights": source.name, "metrics": metrics}


def make_tables(
    paths: Sequence[Path], sources: Sequence[TrainedGenerator], results: Sequence[Mapping[str, Value]], console: Console
) -> list[Table]:
    """A column for each of one or two runs and for the floor, a row for each metric.

    For more runs a row each, and as many metrics in a table as the console is wide enough for.
    """
    names = [f"{name} ({source.iteration:,})" for name, source in zip(short_names(paths), sources, strict=True)]
    if len(results) <= 2:
        tables = [by_metric(names, results)]
    else:
        tables, keys = [], list(results[0])
        while keys:
            sizes = range(len(keys), 1, -1)
            n = next((n for n in sizes if fits(by_run(names, results, keys[:n]), console)), 1)
            tables.append(by_run(names, results, keys[:n]))
            keys = keys[n:]
    tables[-1].caption = "(iterations); floor: real samples instead of generated ones"
    return tables


def by_metric(names: Sequence[str], results: Sequence[Mapping[str, Value]]) -> Table:
    """A row for each metric."""
    view = Table(caption_justify="left")
    view.add_column("metric", no_wrap=True)
    for name in (*names, "floor"):
        view.add_column(escape(name), justify="right", overflow="fold")
    for key, value in results[0].items():
        view.add_row(key, *(cell(values[key]) for values in results), number(value.floor))
    return view


def by_run(names: Sequence[str], results: Sequence[Mapping[str, Value]], keys: Sequence[str]) -> Table:
    """A row for each run, with some of the metrics."""
    view = Table(caption_justify="left")
    view.add_column("run", overflow="fold", min_width=20)
    columns = [[*(cell(values[key]) for values in results), number(results[0][key].floor)] for key in keys]
    for key, column in zip(keys, columns, strict=True):
        heading = key.replace("/", "/\n")
        view.add_column(heading, justify="right", min_width=max(map(len, [*heading.split("\n"), *column])))
    for row in zip(map(escape, names), *(column[:-1] for column in columns), strict=True):
        view.add_row(*row)
    view.add_section()
    view.add_row("floor", *(column[-1] for column in columns))
    return view


def fits(table: Table, console: Console) -> bool:
    """Whether nothing of the table need be cut off."""
    return console.measure(table, options=console.options.update(max_width=10_000)).minimum <= console.width


def short_names(paths: Sequence[Path]) -> list[str]:
    """RUN, or RUN/FILE for a checkpoint; of names KEY=VALUE,… what differs; whole paths if these are not distinct."""
    names = [path.name if path.is_dir() else f"{path.resolve().parent.parent.name}/{path.name}" for path in paths]
    return distinguishing(names) if len(set(names)) == len(names) else [str(path) for path in paths]


def cell(value: Value) -> str:
    """19.8, or 19.8 ± 0.2."""
    return number(value.value) + ("" if value.error is None else f" ± {number(value.error)}")
