"""Manifests for tests of the plan: complete, with what the test says on top."""

from typing import Any

from leadline.model.manifest.specs import Manifest, TradingAccount, TradingStrategy, parse_manifest


def _parsed(document: dict[str, Any]) -> Manifest:
    found = parse_manifest({"apiVersion": "leadline.dev/v1alpha1", **document})
    assert not isinstance(found, list), found
    return found


def strategy(name: str = "flow", namespace: str = "default", **spec: Any) -> TradingStrategy:
    """A strategy on MES unless `spec` says otherwise."""
    found = _parsed(
        {
            "kind": "TradingStrategy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"instrument": "MES", **spec},
        }
    )
    assert isinstance(found, TradingStrategy)
    return found


def account(name: str = "paper", namespace: str = "default", **spec: Any) -> TradingAccount:
    """A paper account with the defaults unless `spec` says otherwise."""
    found = _parsed({"kind": "TradingAccount", "metadata": {"name": name, "namespace": namespace}, "spec": spec})
    assert isinstance(found, TradingAccount)
    return found
