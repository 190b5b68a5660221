"""Settings of services in tests."""

from pathlib import Path
from typing import Any

from leadline.runtime.settings import ServiceSettings

KEY = "k" * 43


def service_settings(directory: Path, service: str = "risk", **changes: Any) -> ServiceSettings:
    """Settings of a service with a key, on free ports of the loopback interface."""
    (directory / "token.key").write_text(KEY)
    return ServiceSettings.model_validate(
        {
            "service": service,
            "workload": service,
            "listen": "127.0.0.1:0",
            "metrics_listen": "127.0.0.1:0",
            "data_dir": directory,
            "token_key_file": directory / "token.key",
            **changes,
        }
    )
