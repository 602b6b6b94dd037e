"""What follows a run: a Lightning logger that also takes histograms, pictures and the end.

Any other logger of Lightning's may stand beside ours; it gets the rows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from ganduel.environment import rank


class Tracker(Logger):
    """Receives what a run has to tell; on the first rank only. What a tracker has no use for it may ignore."""

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: a tracker gets the whole config when it is built."""

    def log_histograms(self, counts: Mapping[str, list[int]], step: int) -> None:
        """Take counts in equal bins of RANGES: of D(x), "d/real"; of D(G(z)), "d/fake"; of its logits, "logit/fake"."""

    def log_protocols(self, protocols: Mapping[str, Mapping[str, Any]], step: int) -> None:
        """Take what each metric's value depends on besides the generator, under the metric's key."""

    def log_picture(self, key: str, path: Path, caption: str, step: int) -> None:
        """Take a picture that is in the run's folder."""

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Take the summary; the run has ended, one way or another."""


def is_first_rank() -> bool:
    """Whether this process is the one that writes, also before the process group exists."""
    return rank() == 0 and getattr(rank_zero_only, "rank", 0) == 0
