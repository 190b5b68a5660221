"""Another user of the same machine, played by a process of another user."""

import os
import subprocess
import sys
import textwrap
from typing import Final

import pytest

STRANGER: Final = 65534

needs_a_stranger = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a process of another user")

# Everything is imported before the change: the interpreter's own folder may be closed to others.
_PREFIX: Final = """
import http.client, json, os, socket, sys, time, urllib.error, urllib.request
os.setgroups([])
os.setgid({uid})
os.setuid({uid})
"""


def start_stranger(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """Run Python as another user; it may print, and `sys.argv[1:]` are the arguments."""
    source = _PREFIX.format(uid=STRANGER) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-I", "-c", source, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
    )


def ask_stranger(code: str, *arguments: object) -> str:
    """What such a process printed, once it has ended."""
    with start_stranger(code, *arguments) as process:
        said, _ = process.communicate(timeout=30)
    return said.strip()
