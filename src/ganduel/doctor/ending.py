"""How a run ended: with a number that is none, with an error, or before its time."""

import math
from shlex import quote

import numpy as np

from ganduel.compare.reading import FAILED_STATUSES, UNFINISHED, Run
from ganduel.doctor.base import Finding
from ganduel.errors import program, typed

LOSSES = ("loss/d", "loss/g")


def ended_badly(run: Run) -> list[Finding]:
    """A run that diverged or failed, with the reason on record, which names the iteration; a note on one cut short."""
    reason = run.reason or "no reason is on record"
    if run.status in FAILED_STATUSES:
        saved = f"ganduel sample {quote(str(run.folder))} --out grid.png shows the last weights that were saved"
        advice = saved if run.status == "diverged" else f"Its last lines: tail {quote(str(run.folder / 'train.log'))}"
        return [Finding(run.status, f"{reason.rstrip('.')} (last row: iteration {run.iteration:,})", f"{advice}.")]
    if run.status == "stopped":
        evidence = f"{reason} after iteration {run.iteration:,}"
        return [Finding("stopped", evidence, f"{program()} {typed('resume', run.folder)} goes on.", "note")]
    if run.status == UNFINISHED:
        evidence = f"no summary yet; last row: iteration {run.iteration:,}"
        advice = f"Wait for it; if it was killed: {program()} {typed('resume', run.folder)}"
        return [Finding("not ended", evidence, f"{advice}.", "note")]
    return []


def not_a_number(run: Run) -> list[Finding]:
    """A loss that is NaN or infinite in a row, without the run having ended by it."""
    if run.status in FAILED_STATUSES:
        return []
    iterations = run.curves["iteration"]
    for key in LOSSES:
        if key in run.last and not math.isfinite(run.final(key)):
            first = iterations[np.flatnonzero(np.isfinite(run.curves[key]))[-1:]]
            until = f", finite up to iteration {int(first[0]):,}" if len(first) else ""
            evidence = f"{key} is {run.final(key)}{until}"
            return [Finding("not a number", evidence, "Try smaller learning rates, a penalty, or gradient clipping.")]
    return []
