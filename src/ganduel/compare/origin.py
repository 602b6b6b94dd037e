"""Where the numbers of a comparison come from: versions, machines, commits, protocols, command lines."""

import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ganduel.compare.reading import Run
from ganduel.tracking.run_name import without_secrets


def provenance(runs: Sequence[Run]) -> dict[str, Any]:
    """Versions, machines, commits, protocols and command lines, each with the number of runs that share it."""

    def counted(value: Callable[[Run], Any]) -> list[list[Any]]:
        return [[words, n] for words, n in Counter(str(value(run)) for run in runs).items()]

    def stated(run: Run, key: str) -> str:
        found = run.config["run"].get(key)
        if not isinstance(found, Mapping):
            return "not on record" if found is None else str(found)
        return ", ".join(f"{name} {value}" for name, value in found.items() if value not in (None, []))

    hashes: dict[str, Counter[str]] = {}
    for run in runs:
        for metric, protocol in run.protocols.items():
            hashes.setdefault(metric, Counter())[str(protocol.get("hash"))] += 1
    return {
        "versions": counted(lambda run: stated(run, "versions")),
        "machines": counted(lambda run: stated(run, "machine")),
        "commits": counted(lambda run: stated(run, "git")),
        "protocols": [[metric, [list(item) for item in found.items()]] for metric, found in hashes.items()],
        "commands": [command(run) for run in runs],
    }


def command(run: Run) -> str:
    """The command line that makes the run again."""
    words = without_secrets(run.config["run"].get("overrides") or [])
    return " ".join(["python train.py", *(shlex.quote(str(word)) for word in words)])
