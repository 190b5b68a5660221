"""A file of instruments of one's own, for tests."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ETHER: dict[str, Any] = {
    "name": "Ether perpetual, USDT margined",
    "tick": "0.01",
    "size_step": "0.001",
    "multiplier": "1",
    "currency": "USDT",
    "exchange": "Binance",
    "venue": "binance",
    "calendar": "24x7",
    "commission": "0.0015",
    "staleness": "60s",
    "collar": 500,
    "kind": "perpetual",
    "roll": "none",
    "sessions": {"rth": {"open": "00:00", "close": "00:00", "zone": "UTC"}},
}
BITCOIN: dict[str, Any] = {
    **{name: value for name, value in ETHER.items() if name != "commission"},
    "name": "Bitcoin perpetual, coin margined",
    "tick": "0.5",
    "size_step": "1",
    "multiplier": "100",
    "inverse": True,
    "currency": "BTC",
    "fee_rate": "0.0005",
    "margin_rate": "0.01",
}
EVENINGS: dict[str, Any] = {
    "title": "Around the clock, from evening to evening",
    "zone": "UTC",
    "open": "18:00",
    "close": "18:00",
    "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    "valid_from": "2020-01-01",
    "valid_through": "2030-12-31",
}


def file_of(
    folder: Path,
    instruments: Mapping[str, Any],
    calendars: Mapping[str, Any] | None = None,
    name: str = "own.yaml",
) -> Path:
    """A file with these rows."""
    path = folder / name
    path.write_text(yaml.safe_dump({"instruments": dict(instruments), "calendars": dict(calendars or {})}))
    return path
