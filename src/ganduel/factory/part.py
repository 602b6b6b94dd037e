"""A part from its config: a `_target_` and its knobs become an object."""

from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from ganduel.errors import UserError


def build(node: Mapping[str, Any], path: str | None = None, /, **supplied: Any) -> Any:
    """The object that a config describes, with what the program itself supplies; `path` is where it stands there."""
    try:
        # What is supplied does not go through Hydra, which would build whatever else has a `_target_` in it.
        return instantiate({"_convert_": "all", "_partial_": True, **node})(**supplied)
    except (InstantiationException, ValueError, TypeError) as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) else error
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError):  # the target refuses its arguments, as torch's optimizers do
            reason = (str(cause).splitlines() or [type(cause).__name__])[0]
            raise UserError(f"{path or node['_target_'].rpartition('.')[2]}: {reason}.") from error
        raise
