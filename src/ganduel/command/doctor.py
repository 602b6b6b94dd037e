"""`ganduel doctor`: what is wrong with runs, each finding with its evidence and what to type.

The record of a run is read in any case. Its networks and its data are built if its checkpoint names ganduel's own
parts, or if the user trusts it; a note says what could not be looked at.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from ganduel import checkpoint as checkpoints
from ganduel import rng
from ganduel.compare.reading import Run, SkippedFolder, read_all
from ganduel.data.base import Data, normalise
from ganduel.doctor.base import Finding
from ganduel.doctor.ending import ended_badly, not_a_number
from ganduel.doctor.metrics import late_collapse, lost_modes, memorisation
from ganduel.doctor.networks import large_eps, out_of_reach, stale_buffers
from ganduel.doctor.samples import holes, image_range, looked_at
from ganduel.doctor.training import d_gives_probabilities, d_has_won, g_gradient_is_gone, learning_rate_is_zero
from ganduel.errors import UserError
from ganduel.factory.data import build_data, check_data, moved, recorded_data
from ganduel.factory.networks import build_discriminator
from ganduel.metric.memorisation import Memorisation
from ganduel.model.packing import packed_shape
from ganduel.run import schema
from ganduel.tracking.files import to_json
from ganduel.trained.generator import TrainedGenerator
from ganduel.trained.load import load
from ganduel.trust import check_stored

ON_RECORD: tuple[Callable[[Run], list[Finding]], ...] = (
    ended_badly,
    not_a_number,
    d_gives_probabilities,
    d_has_won,
    g_gradient_is_gone,
    learning_rate_is_zero,
    lost_modes,
    late_collapse,
    memorisation,
)
STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def doctor(
    paths: Sequence[str],
    as_json: bool = False,
    trust: bool = False,
    data_dir: str | None = None,
    console: Console | None = None,
) -> bool:
    """Print what is wrong with the runs; returns whether they are sound.

    Args:
        paths: folders of runs or of sweeps, or patterns.
        as_json: JSON instead of tables.
        trust: whether classes that are not ganduel's may be built, which runs their code.
        data_dir: where the runs' data are now; None: where they were.
        console: to print to; None: the terminal.
    """
    runs, skipped = read_all(paths)
    if not runs:
        reasons = "; ".join(f"{entry.folder}: {entry.reason}" for entry in skipped[:3])
        raise UserError(f"there is no run to look at. {reasons}")
    findings = [examine(run, trust, data_dir) for run in runs]
    console = console or Console()
    if as_json:
        console.print_json(to_json(to_dict(runs, findings, skipped)))
    else:
        for run, of_run in zip(runs, findings, strict=True):
            print_findings(run, of_run, console)
        for entry in skipped:
            console.print(Text(f"left out: {entry.folder}: {entry.reason}"), soft_wrap=True)
    return all(map(is_sound, findings))


def examine(run: Run, trust: bool = False, data_dir: str | None = None) -> list[Finding]:
    """All findings on a run: of its record, and of its latest checkpoint where there is one."""
    findings = [finding for look in ON_RECORD for finding in look(run)]
    if not checkpoints.has_checkpoint(run.folder):
        return findings
    with noted("the checkpoint", findings):
        path = checkpoints.latest(run.folder)
        checkpoint = checkpoints.read(path)
        findings += stale_buffers(checkpoint["state_dict"])
        config, source = checkpoint["ganduel"]["config"], None
        with noted("the networks", findings):
            source = load(path, device="cpu", trust=trust, how="--trust")
            findings += large_eps(source.generator, "G")
            findings += large_eps(discriminator(checkpoint["ganduel"], path, trust), "D")
        with noted("the data", findings):
            data = data_of(config if data_dir is None else moved(config, data_dir), path, trust)
            findings += of_data(data, source)
            measured = any(key.startswith("copies/") for key in run.protocols)
            if is_sound(findings) and not measured and Memorisation().refusal(data) is None:
                advice = f"ganduel evaluate {quote(str(run.folder))} --metrics memorisation"
                findings.append(Finding("memorisation", "not measured", advice, "note"))
    return findings


@contextmanager
def noted(what: str, findings: list[Finding]) -> Iterator[None]:
    """Where something cannot be built, a note says why; a checkpoint may come from anyone, and have anything in it."""
    try:
        yield
    except UserError as error:
        findings.append(Finding(f"{what}: not looked at", str(error), "", "note"))
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"the checkpoint is not whole: {error} is missing or not what it should be."
        findings.append(Finding(f"{what}: not looked at", reason, "", "note"))


def discriminator(entry: Mapping[str, Any], path: Path, trust: bool) -> torch.nn.Module:
    """D as the checkpoint's entry describes it, with initial weights."""
    stored = entry["config"]
    node = stored["model"]["discriminator"]
    config = {"model": {"discriminator": node}} | {key: stored[key] for key in ("condition",) if key in stored}
    check_stored(config, path, "--trust", trust)
    schema.check_target(node, "model.discriminator")
    with rng.all_seeded(0):
        return build_discriminator(config, packed_shape(entry["shape"], stored.get("pack", 1)), entry.get("classes"))


def data_of(config: Mapping[str, Any], path: Path, trust: bool) -> Data:
    """The data of a run, without the warnings that are findings here."""
    check_stored({"data": config["data"], "run": {"data": recorded_data(config)}}, path, "--trust", trust)
    schema.check_target(config["data"], "data")
    logging.disable(logging.WARNING)
    try:
        data = build_data(config)
    finally:
        logging.disable(logging.NOTSET)
    check_data(config, data, str(path))
    return data


def of_data(data: Data, source: TrainedGenerator | None) -> list[Finding]:
    """Findings on the real samples, and on what G makes beside them."""
    samples = looked_at(data)
    findings = image_range(samples) if data.is_image else []
    findings += [] if data.size is None else holes(samples, data.is_image)
    if source is not None:
        findings += out_of_reach(source.generator, normalise(samples[:1000]), data.is_image)
    return findings


def is_sound(findings: Sequence[Finding]) -> bool:
    """Whether nothing was found; a note is no finding."""
    return all(finding.severity == "note" for finding in findings)


def print_findings(run: Run, findings: Sequence[Finding], console: Console) -> None:
    """A line on the run, and below it what was found."""
    counts = Counter(finding.severity for finding in findings if finding.severity != "note")
    verdict = ", ".join(f"{n} {severity}{'s' * (n > 1)}" for severity, n in counts.items()) or "sound"
    lines = [Text(f"{run.folder} ({run.iteration:,} iterations): {verdict}")]
    for finding in findings:
        lines.append(Text.assemble("  ", (finding.name, STYLES[finding.severity]), f": {finding.evidence}"))
        lines += [Text(f"    {finding.advice}")] if finding.advice else []
    for line in lines:
        console.print(line, soft_wrap=True)  # commands can be copied whole


def to_dict(runs: Sequence[Run], findings: Sequence[list[Finding]], skipped: Sequence[SkippedFolder]) -> dict[str, Any]:
    """All of it in plain containers."""
    return {
        "runs": [
            {"path": str(run.folder), "iteration": run.iteration, "sound": is_sound(of_run),
             "findings": [asdict(finding) for finding in of_run]}
            for run, of_run in zip(runs, findings, strict=True)
        ],
        "left_out": [{"path": str(entry.folder), "reason": entry.reason} for entry in skipped],
    }  # fmt: skip
