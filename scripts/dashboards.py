"""Write the dashboards of `dashboards/`, and the chart's copy of that folder: `python -m scripts.dashboards`.

The panels are described in `_dashboard_*.py`; the rules are written by hand in `dashboards/rules`. Helm reads no file
outside of a chart, so the chart has a copy. `--check` writes nothing and fails when a file is not as it should be.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import orjson

from scripts._dashboard_desk import DESK
from scripts._dashboard_execution import EXECUTION
from scripts._dashboard_pipeline import PIPELINE
from scripts._grafana import dashboard

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "dashboards"
DASHBOARDS: Final = (DESK, PIPELINE, EXECUTION)
RULES: Final = FOLDER / "rules" / "leadline.yaml"
COPY: Final = ROOT / "helm" / "leadline" / "files" / "dashboards"


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description="Write dashboards/ and the chart's copy of it.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file has drifted")
    check: bool = parser.parse_args().check
    stale = drift()
    for path in stale:
        if check:
            print(f"dashboards: {path.relative_to(ROOT)} has drifted; run 'make dashboards'", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files()[path], encoding="utf-8")
    if not check:
        print(f"dashboards: {len(stale)} of {len(files())} files written")
    return 1 if check and stale else 0


def files() -> dict[Path, str]:
    """Every file by its place, as it should be."""
    made = {f"{each.uid.removeprefix('leadline-')}.json": _text(dashboard(each)) for each in DASHBOARDS}
    made_and_copied = {folder / name: text for folder in (FOLDER, COPY) for name, text in made.items()}
    return {**made_and_copied, COPY / "rules" / RULES.name: RULES.read_text(encoding="utf-8")}


def drift() -> list[Path]:
    """Files that are not as they should be."""
    return [path for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def _text(model: object) -> str:
    return orjson.dumps(model, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


if __name__ == "__main__":
    sys.exit(main())
