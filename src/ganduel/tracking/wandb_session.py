"""Setup and teardown of W&B's library, without a prompt, a stack trace or an endless wait."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from inspect import signature
from threading import Thread
from typing import Any


def resolve_mode(wandb: Any) -> tuple[str, str]:
    """The mode that W&B's environment variables and settings ask for, and its source."""
    try:
        mode = wandb.setup(wandb.Settings(silent=True)).settings.mode
    except Exception as error:
        with without_wandb_variables():
            wandb.setup(wandb.Settings(silent=True))
        return "offline", brief(error)
    source = "WANDB_MODE" if os.environ.get("WANDB_MODE") else "W&B's settings file"
    return ("offline" if mode == "dryrun" else mode), f"{source} says {mode}"


@contextmanager
def without_wandb_variables() -> Iterator[None]:
    """Without W&B's environment variables, except for those of folders and processes: one of them is invalid."""
    names = [n for n in os.environ if n.startswith("WANDB_") and not n.endswith(("_DIR", "_SERVICE", "_REPORTING"))]
    values = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(values)


def has_key(wandb: Any) -> bool:
    """Whether W&B finds an API key without a prompt: in the environment, its settings or ~/.netrc.

    Raises an error of W&B's if the key is invalid.
    """
    if "prompt" in signature(wandb.login).parameters:
        return wandb.login(prompt=False, verify=False)
    return bool(wandb.api.api_key)  # before 0.31


def teardown() -> None:
    """Tear W&B down, so that the program need not wait for W&B's process at its end."""

    def tear_down() -> None:
        with suppress(BaseException):
            sys.modules["wandb"].teardown()

    thread = Thread(target=tear_down, name="ganduel-wandb-teardown", daemon=True)
    thread.start()
    thread.join(1.0)


def brief(error: BaseException) -> str:
    """An error's message in one line of bounded length."""
    text = " ".join(str(error).split(" [type=")[0].split()).rstrip(".") or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"
