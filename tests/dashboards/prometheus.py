"""A real Prometheus beside a stack: it scrapes its services, reads the rules, and answers the dashboards' queries."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import yaml

from leadline.local.data_dir import DataDir
from tests.dashboards.binaries import program
from tests.dashboards.queries import RULES

PROGRAM: Final = program("prometheus")
READY_SECONDS: Final = 60
SCRAPE_SECONDS: Final = 0.5
# No proxy of the environment comes between.
_OPENER: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Answer:
    """What a query gave over a time: series with any value, or the error that came instead."""

    series: tuple[dict[str, Any], ...] = ()
    error: str = ""

    @property
    def values(self) -> list[float]:
        """Every value of every series."""
        return [float(value) for each in self.series for _, value in each["values"]]


class Prometheus:
    """A server on a port of its own, for as long as the block lasts. It scrapes nothing before `watch`."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._targets = folder / "targets.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._since_s = time.time()

    def __enter__(self) -> Self:
        assert PROGRAM is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        self._targets.write_text("[]")
        (self._folder / "metrics.token").touch(mode=0o600)
        every = f"{round(SCRAPE_SECONDS * 1000)}ms"
        config = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(RULES)],
            "scrape_configs": [
                {
                    "job_name": "leadline",
                    "authorization": {"credentials_file": str(self._folder / "metrics.token")},
                    "file_sd_configs": [{"files": [str(self._targets)], "refresh_interval": "1s"}],
                }
            ],
        }
        (self._folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    PROGRAM,
                    f"--config.file={self._folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline, (self._folder / "prometheus.log").read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)

    def watch(self, data_dir: Path) -> None:
        """Scrape every service of the stack in a data directory from now on. Its settings are written already."""
        data = DataDir(data_dir)
        shutil.copyfile(data.metrics_token_file, self._folder / "metrics.token")
        found = [json.loads(file.read_text()) for file in sorted(data.root.glob("settings/*.json"))]
        targets = [
            {"targets": [each["metrics_listen"]], "labels": {"pod": each["workload"], "namespace": "default"}}
            for each in found
            if "metrics_listen" in each
        ]
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps(targets))
        fresh.replace(self._targets)
        self._since_s = time.time()

    def ask(self, promql: str) -> Answer:
        """The query at every second since `watch`."""
        span = {"query": promql, "start": self._since_s, "end": time.time(), "step": 0.5}
        try:
            data = self._get("query_range", **span)
        except urllib.error.HTTPError as error:
            return Answer(error=error.read().decode())
        return Answer(series=tuple(data["result"]))

    def evaluated(self) -> dict[str, str]:
        """By alert, the error of its last evaluation, empty for none. Waits until each has been evaluated."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            rules = [rule for group in self._get("rules")["groups"] for rule in group["rules"]]
            if all(rule["health"] != "unknown" for rule in rules):
                return {rule["name"]: rule.get("lastError", "") for rule in rules}
            assert time.monotonic() < deadline, rules
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), _OPENER.open(f"http://127.0.0.1:{self._port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def _get(self, what: str, **parameters: object) -> Any:
        words = urllib.parse.urlencode(parameters)
        with _OPENER.open(f"http://127.0.0.1:{self._port}/api/v1/{what}?{words}", timeout=30) as answer:
            return json.loads(answer.read())["data"]
