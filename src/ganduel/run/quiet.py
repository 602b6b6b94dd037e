"""What Lightning says about settings that are meant is silenced; what it says about others is shown."""

import logging
import warnings

# All others are shown: one may say that Lightning computes something else than was asked for.
EXPECTED_WARNINGS = (
    r"Found \d+ module\(s\) in eval mode",  # the average of G is never trained
    r"GPU available but not used",  # trainer.accelerator=cpu
    r"Using ModelCheckpoint with manual optimization",  # a checkpoint is of the state after an iteration
)


def quiet() -> None:
    """Silence what Lightning says about settings that are meant, and torch about Lightning's own code."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message)
    for category in (DeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=category, module="lightning")
