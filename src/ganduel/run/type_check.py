"""Whether a value of a config is valid for a parameter, by its annotation.

fits([0.5, 0.999], tuple[float | Tensor, float])    True
describe(Sequence[int])                             "a list of whole numbers, such as [256,512]"
"""

import inspect
import types
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def parameter_types(target: Any) -> dict[str, Any]:
    """The types of the target's parameters; none if they cannot be evaluated."""
    function = target.__init__ if inspect.isclass(target) else target
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        return {}


def fits(value: Any, hint: Any) -> bool:
    """Whether a config value is valid for a parameter of this type. Unknown types accept any value."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        members = arguments if isinstance(value, Mapping) else alternatives(arguments)
        return any(fits(value, member) for member in members)
    if origin is Literal:
        return value in arguments
    if hint is type(None):
        return value is None
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    if origin in (list, tuple, Sequence) or hint in (list, tuple):
        inner = [argument for argument in arguments if argument is not Ellipsis]
        if not isinstance(value, list):
            return False
        if origin is tuple and Ellipsis not in arguments and len(value) != len(inner):
            return False
        kinds = inner if len(inner) > 1 else inner * len(value)
        return all(fits(item, kind) for item, kind in zip(value, kinds, strict=False))
    return value is not None or not inspect.isclass(hint)


def alternatives(members: tuple[Any, ...]) -> Sequence[Any]:
    """The members of a union that a config value can have: `float | Tensor` is a number there."""
    plain = [hint for hint in members if not inspect.isclass(hint) or hint in (bool, int, float, str, list, tuple)]
    return [hint for hint in members if hint in plain or hint is type(None)] if plain else members


def describe(hint: Any) -> str:
    """A type in words, for an error message."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(member) for member in alternatives(arguments))
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin in (list, tuple, Sequence) and arguments:
        example = "[a,b]" if arguments[0] is str else "[256,512]"
        return f"a list of {describe(arguments[0]).removeprefix('a ').removeprefix('an ')}s, such as {example}"
    if hint is type(None):
        return "null"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(hint, str(hint))
