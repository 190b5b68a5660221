"""The name of an analysis: which code, with which settings, spoke."""

import json
from collections.abc import Mapping

from leadline.model.ids import derive


def analysis_hash(code_version: str, settings: Mapping[str, object]) -> str:
    """32 characters that are the same wherever the same code runs with the same settings.

    `settings`: the fields of the manifest that reach analysis, as JSON values (decimals as strings). Their order does
    not matter. TypeError when a value is not JSON.
    """
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return derive("a", code_version, text)
