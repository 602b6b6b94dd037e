"""Errors in a user's words: one line that names the option, what is wrong with it, and the nearest that would do."""

import errno
from collections.abc import Iterator

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException, ValidationError

from ganduel.errors import UserError, nearest


def explain(error: BaseException) -> str | None:
    """What the user did wrong, in one line; None if the fault is not the user's."""
    for cause in causes(error):
        if isinstance(cause, UserError):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            return f"{cause.strerror}: {cause.filename or 'the run folder'}. Choose another folder with hydra.run.dir=."
    if isinstance(error, MissingConfigException):
        return missing_choice(error)
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be parsed: {first_line(error)}. Quote values with brackets or spaces."
    if isinstance(error, ConfigCompositionException):
        for cause in causes(error):
            if isinstance(cause, ConfigKeyError | ConfigAttributeError):
                return unknown_key(cause)
            if isinstance(cause, ValidationError):
                return f"{cause.full_key}: {first_line(cause)}."
    if isinstance(error, HydraException | OmegaConfBaseException):
        return first_line(error)
    return None


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def missing_choice(error: MissingConfigException) -> str:
    """A group has no such choice."""
    group, _, choice = (error.missing_cfg_file or "").rpartition("/")
    if not group:
        return first_line(error)
    options = error.options or choices(group)
    return f"{group}={choice} is not a choice. " + (nearest(choice, options) if options else f"{group} has none.")


def choices(group: str) -> list[str]:
    """The choices that a group has, in all folders that Hydra looks in."""
    from hydra.core.global_hydra import GlobalHydra

    loader = GlobalHydra.instance().config_loader() if GlobalHydra.instance().is_initialized() else None
    return loader.get_group_options(group) if loader is not None else []


def unknown_key(error: OmegaConfBaseException) -> str:
    """A config has no such key: name the nearest on the same level, or where one of that name is."""
    full_key, key = str(error.full_key), str(error.key)
    known = [str(k) for k in error.parent_node] if isinstance(error.parent_node, DictConfig) else []
    return f"{full_key} is not an option. " + (nearest(key, known) if known else "See --help.")


def first_line(error: BaseException) -> str:
    """The first line of what the error says, without a full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
