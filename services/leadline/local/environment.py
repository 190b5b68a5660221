"""The environment of a child process: what it needs to run, and none of the trader's other secrets.

A strategy may be somebody else's code, and the shell that starts a stack often holds keys of clouds and brokers.
"""

import os
from collections.abc import Mapping
from typing import Final

_KEPT: Final = frozenset({"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"})
_KEPT_PREFIXES: Final = ("COVERAGE_", "LC_", "LEADLINE_", "OTEL_", "PYTHON", "SSL_CERT_", "XDG_")
_FOLDERS: Final = frozenset({"PYTHONPATH"})


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of `environment` that a service or server may see.

    Relative folders of PYTHONPATH become absolute: a child's current directory is not the one of its starter.
    """
    kept = {name: value for name, value in environment.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES)}
    for name in _FOLDERS & kept.keys():
        kept[name] = os.pathsep.join(os.path.abspath(folder) for folder in kept[name].split(os.pathsep) if folder)  # noqa: PTH100 - no link is followed
    return kept
