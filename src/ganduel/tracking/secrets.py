"""Secrets stay out of the record: files, checkpoints, W&B, page and log have "(hidden)" where a config has one.

    by its name    api_key, token, secret, password, credentials, cookie, Authorization, …: text, and all below it
    in a URL       user:password
    in text        name=value and "name: value" with such a name, as in an override

Numbers, null and references such as ${oc.env:MY_KEY} are no secrets, and neither is a log key such as loss/d under the
name `key`. A run has its secrets in memory alone. One that is resumed takes them from its command line, which may have
them from the environment.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganduel.errors import UserError

HIDDEN = "(hidden)"
STRONG = (
    r"passw|passphrase|pwd|secret|credential|cookie|authori[sz]ation|authentication|token(?!i[sz])"
    r"|(?<![a-z])o?auth(?![a-z])|(?:api|access|private|auth|ssh|license)[_-]?keys?(?![a-z])"
)
WEAK = r"(?<![a-z])key(?![a-z])"
LOG_KEY = re.compile(r"[a-z0-9_.-]+(/[a-z0-9_.-]+)+")
PLAIN = re.compile(r"[-+\d.e_]+|null|none|true|false|['\"]?\$\\?\{.*", re.IGNORECASE)
# A value is quoted, in brackets, or goes up to the next name, as in a=1,token=2,c=3. All counts are bounded, as a
# stranger's text may be long.
PAIR = re.compile(
    rf"(?<![\w.-])([\w.-]{{0,99}}?(?:(?:{STRONG})[\w.-]{{0,99}}['\"]?\s{{0,2}}[=:]|{WEAK}=)\s{{0,2}})"
    r"((?:'[^'\n]*'|\[[^\]\n]*\]|\(hidden\))(?=[,;&\s]|$)|.+?(?=[,;&\s]\s{0,2}['\"]?[\w.@+~/-]{1,99}['\"]?[=:]|$))",
    re.IGNORECASE | re.MULTILINE,
)
URL = re.compile(r"(?<!\w)(\w[\w+.-]{0,20}://)[^\s/@]*:[^\s/]*@")


def without_secrets(value: Any) -> Any:
    """The config, or a text, with its secrets hidden."""
    if isinstance(value, Mapping):
        return {key: hide(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    if not isinstance(value, str):
        return value
    text = PAIR.sub(lambda pair: pair[1] + hide(pair[1], pair[2]), value)
    return URL.sub(rf"\1{HIDDEN}@", text)


def hide(name: str, value: Any) -> Any:
    """A value of that name, hidden if it is a secret by its name; otherwise without those in it."""
    if value is None or isinstance(value, int | float) or (isinstance(value, str) and PLAIN.fullmatch(value)):
        return value
    if re.search(STRONG, name, re.IGNORECASE):
        return HIDDEN
    is_log_key = isinstance(value, str) and LOG_KEY.fullmatch(value)
    return HIDDEN if re.search(WEAK, name, re.IGNORECASE) and not is_log_key else without_secrets(value)


def with_secrets(config: Mapping[str, Any], given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The config of a run's folder with the secrets that another has in the same places; `run` keeps them hidden."""
    return {
        key: value if key == "run" else restored(value, given.get(key), key, folder) for key, value in config.items()
    }


def restored(value: Any, given: Any, path: str, folder: Path) -> Any:
    """A stored value, or the given one if it was hidden.

    Raises:
        UserError: the given one is not what was hidden.
    """
    if isinstance(value, Mapping):
        known = given if isinstance(given, Mapping) else {}
        return {key: restored(item, known.get(key), f"{path}.{key}", folder) for key, item in value.items()}
    if isinstance(value, list):
        known = given if isinstance(given, list) and len(given) == len(value) else [None] * len(value)
        return [restored(*pair, path, folder) for pair in zip(value, known, strict=True)]
    if not isinstance(value, str) or HIDDEN not in value:
        return value
    if given is None or hide(path.rpartition(".")[2], given) != value:
        raise UserError(
            f"{folder} has no {path} on record, as it may be a secret. Say again what the run's command line said of "
            f"{path.partition('.')[0]}, where {path}='${{oc.env:NAME}}' takes it from the environment."
        )
    return given
