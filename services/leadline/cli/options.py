"""The options that commands share, and what people say with them. Nothing heavy is loaded here: help reads it, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

LARGEST_SEED: Final = 2**63 - 1


class Output(StrEnum):
    """Form of what a command prints."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """The options of a plan on the command line. pushed: whether a feed may be one whose prints are pushed.

    speed: `max` where none is given, and real time on a live tape.
    """

    manifests: Sequence[Path]
    feed: Sequence[str]
    trade_from: str | None = None
    seed: int | None = None
    sessions: int | None = None
    speed: str | None = None
    max_kept_out: float = 1.0
    instruments: Sequence[Path] = ()
    catalog: Path | None = None
    pushed: bool = True
    live: bool = False
    shift_session: bool = False
    shift_to_now: bool = False


def _knowing_its_instruments(data_dir: Path) -> Path:
    """The data directory itself; its stack's instruments are known from here on, so that its prices can be shown."""
    from leadline.local.data_dir import DataDir  # noqa: PLC0415 - as above
    from leadline.model.errors import InvalidInput, reason_of  # noqa: PLC0415 - a command that runs, not its help
    from leadline.model.manifest.own_markets import put_in_force, read_own  # noqa: PLC0415 - as above

    file = DataDir(data_dir).instruments_file
    try:
        put_in_force(read_own([file] if file.is_file() else []))
    except OSError as error:
        raise InvalidInput("--data-dir", str(data_dir), f"a folder that can be used ({reason_of(error)})") from None
    return data_dir


def _default_data_dir() -> Path:
    from leadline.local.data_dir import default_data_dir  # noqa: PLC0415 - as above

    return default_data_dir()


def _default_catalog() -> Path:
    from leadline.local.data_dir import default_catalog  # noqa: PLC0415 - as above

    return default_catalog()


def _showing_times_in(zone: str) -> str:
    from leadline.report.clock import show_times_in  # noqa: PLC0415 - as above

    show_times_in(zone)
    return zone


ZoneOption = Annotated[
    str,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="Zone of the times that people read, such as America/New_York. JSON has nanoseconds UTC.",
        callback=_showing_times_in,
    ),
]
OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="text for people, json for programs (one document or one per line).")
]
DataDirOption = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        help="Directory of the stack.",
        file_okay=False,
        default_factory=_default_data_dir,
        show_default="~/.local/share/leadline",
        callback=_knowing_its_instruments,
    ),
]
KeptDirOption = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        metavar="FOLDER",
        help="Directory of the stack, in whose folder `backtests` results are kept.",
        file_okay=False,
        default_factory=_default_data_dir,
        show_default="~/.local/share/leadline",
    ),
]
CatalogOption = Annotated[
    Path,
    typer.Option(
        "--catalog",
        metavar="FOLDER",
        help="Folder of the catalog.",
        file_okay=False,
        default_factory=_default_catalog,
        show_default="~/.local/share/leadline-catalog",
    ),
]
FeedCatalogOption = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        metavar="FOLDER",
        help="Folder of the catalog, for a feed that is one.",
        file_okay=False,
        show_default="~/.local/share/leadline-catalog",
    ),
]
KubeOption = Annotated[
    bool, typer.Option("--kube", help="Ask the cluster of the kubeconfig, through kubectl, instead of this machine.")
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="With --kube: the namespace; without it the context's."),
]
AccountOption = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="Account, as namespace/name; without it all of them.")
]
StrategyOption = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="Strategy, as namespace/name; without it all of them.")
]
TapeOption = Annotated[
    str | None,
    typer.Option("--tape", metavar="RUN", help="Id of the run; without it the newest of the data directory."),
]
ManifestOption = Annotated[
    list[Path],
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="TradingStrategy and TradingAccount documents, YAML, once per file.",
        exists=True,
        dir_okay=False,
    ),
]
FeedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--feed",
        metavar="SOURCE",
        help="sim, catalog, push, or a CSV file of prints (ts_ns,price,size,side; also .gz), once per file. "
        "A file of another contract than the strategy's is written CONTRACT=FILE.",
        show_default="sim",
    ),
]
PastFeedOption = Annotated[
    list[str] | None,
    typer.Option(
        "--feed",
        metavar="SOURCE",
        help="sim, catalog, or a CSV file of prints (ts_ns,price,size,side; also .gz), once per file. "
        "A file of another contract than the strategy's is written CONTRACT=FILE.",
        show_default="sim",
    ),
]
TradeFromOption = Annotated[
    str | None,
    typer.Option(
        "--trade-from",
        metavar="DATE",
        help="First trading day on which anything is decided, YYYY-MM-DD.",
        show_default="the feed's",
    ),
]
FirstDayOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="DATE",
        help="First trading day that is traded, YYYY-MM-DD.",
        show_default="the first that has its history before it",
    ),
]
LastDayOption = Annotated[
    str | None,
    typer.Option("--to", metavar="DATE", help="Last trading day, included.", show_default="the last that has prints"),
]
DayWorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="NUMBER",
        min=1,
        max=256,
        help="Processes. The result is the same with any number.",
        show_default="one per core, and only one for a few days",
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", metavar="NUMBER", min=0, help="Seed of a simulated feed.", show_default="1")
]
SessionsOption = Annotated[
    int | None,
    typer.Option(
        "--sessions",
        metavar="NUMBER",
        min=1,
        max=260,
        help="Sessions that a simulated feed has, or are played of a catalog.",
        show_default="1",
    ),
]
SimulatedSessionsOption = Annotated[
    int | None,
    typer.Option(
        "--sessions",
        metavar="NUMBER",
        min=1,
        max=260,
        help="Sessions that a simulated feed has. Of a catalog or a file, --to says the last.",
        show_default="1",
    ),
]
MaxKeptOutOption = Annotated[
    float,
    typer.Option(
        "--max-kept-out", metavar="PERCENT", min=0, max=100, help="Percent of faulty prints above which a run fails."
    ),
]
InstrumentsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--instruments",
        metavar="FILE",
        help="A YAML file of instruments (and calendars) beside the package's sheet, once per file.",
        exists=True,
        dir_okay=False,
    ),
]
SpeedOption = Annotated[
    str | None,
    typer.Option(
        "--speed",
        metavar="NUMBER",
        help="Seconds of the tape per second, or max. Beside --live a whole number, for drills.",
        show_default="max, and 1 beside --live",
    ),
]
LiveOption = Annotated[
    bool, typer.Option("--live", help="Run on the tape `live`: on the clock, day after day, without an end.")
]
ShiftSessionOption = Annotated[
    bool,
    typer.Option(
        "--shift-session", help="Beside --live and --feed sim: regular hours begin now, on a clock of the tape's own."
    ),
]
ShiftToNowOption = Annotated[
    bool,
    typer.Option(
        "--shift-to-now",
        help="Beside --live: play recorded days as if they happened now, on a clock of the tape's own.",
    ),
]
