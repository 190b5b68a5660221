"""The head of a page: the manifests, days, feed and code that it comes from."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import yaml

from leadline.backtest.identity import Identity
from leadline.model.counted import counted
from leadline.report.figures import filled_on_text
from leadline.report.parts import Document
from leadline.study.rows import FilledOn
from leadline.study.studied import Studied


def headed(document: Document, studied: Studied, filled_on: FilledOn) -> Document:
    """A study with what it was made of above its own sentences, and its manifests folded below them."""
    identity = studied.identity
    days = identity.manifests["range"]
    strategies = ", ".join(
        f"{_name(each)} on {each['spec']['instrument']}" for each in identity.manifests["strategies"]
    )
    head = (
        f"{strategies}, from {days['first']} to {days['last']}, {counted(studied.days, 'session day')}.",
        f"{feed_text(identity)}. Code {identity.code}. Backtest of the manifests as they are: {identity.id}.",
    )
    doubts = [filled_on_text(*pair) for pair in filled_on]
    return replace(
        document,
        intro=(*head, *document.intro),
        warnings=(*(f"{each[0].upper()}{each[1:]}." for each in (*studied.warnings, *doubts)), *document.warnings),
        manifests=(manifests_title(identity), manifests_text(identity)),
    )


def feed_text(identity: Identity) -> str:
    """The feed of a backtest with its settings, and its contracts."""
    data = identity.data
    settings = "".join(f", {name} {value}" for name, value in data.settings.items())
    return f"Feed {data.feed}{settings}: {', '.join(dict.fromkeys(each.contract for each in data.days))}"


def manifests_title(identity: Identity) -> str:
    """The names of the manifests of a backtest."""
    return f"Manifests of {', '.join(map(_name, _documents(identity)))}"


def manifests_text(identity: Identity) -> str:
    """The manifests of a backtest as YAML, the defaults among them."""
    text: str = yaml.safe_dump_all(_documents(identity), sort_keys=False, allow_unicode=True)
    return text


def _documents(identity: Identity) -> Sequence[dict[str, Any]]:
    return [*identity.manifests["accounts"], *identity.manifests["strategies"]]


def _name(document: dict[str, Any]) -> str:
    return f"{document['metadata']['namespace']}/{document['metadata']['name']}"
