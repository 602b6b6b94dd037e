"""Into W&B's library and out of it again without a question, a stack trace or a wait that has no end."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from inspect import signature
from threading import Thread
from typing import Any


def enter(wandb: Any) -> tuple[str, str]:
    """The mode that W&B's variables and settings ask for, and what says so."""
    try:
        mode = wandb.setup(wandb.Settings(silent=True)).settings.mode
    except Exception as error:
        with variables_set_aside():
            wandb.setup(wandb.Settings(silent=True))
        return "offline", brief(error)
    says = "WANDB_MODE" if os.environ.get("WANDB_MODE") else "W&B's settings file"
    return ("offline" if mode == "dryrun" else mode), f"{says} says {mode}"


@contextmanager
def variables_set_aside() -> Iterator[None]:
    """W&B's variables out of the way, save those for folders and processes: it stumbles over one of them."""
    names = [n for n in os.environ if n.startswith("WANDB_") and not n.endswith(("_DIR", "_SERVICE", "_REPORTING"))]
    values = {name: os.environ.pop(name) for name in names}
    try:
        yield
    finally:
        os.environ.update(values)


def has_key(wandb: Any) -> bool:
    """Whether W&B finds a key without asking for one; raises if it finds one that cannot be.

    That is, in the environment, its settings or ~/.netrc.
    """
    if "prompt" in signature(wandb.login).parameters:
        return wandb.login(prompt=False, verify=False)
    return bool(wandb.api.api_key)  # before 0.31


def leave() -> None:
    """Let the program end without W&B, which otherwise waits then for a process of its own."""

    def tear_down() -> None:
        with suppress(BaseException):
            sys.modules["wandb"].teardown()

    thread = Thread(target=tear_down, name="ganduel-wandb-teardown", daemon=True)
    thread.start()
    thread.join(1.0)


def brief(error: BaseException) -> str:
    """What an error says, in one line of bounded length."""
    text = " ".join(str(error).split(" [type=")[0].split()).rstrip(".") or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "…"
