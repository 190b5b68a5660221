"""The life of a service process: settings, clocks and signals around a room's `run`."""

import asyncio
import contextlib
import gc
import importlib
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import structlog

from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import GivenUp, InvalidInput, LeadlineError, Unknown, error_text
from leadline.model.services import processes, service_of
from leadline.model.strict import NoParams, ServiceParams
from leadline.runtime import measurements
from leadline.runtime.clock import monotonic_s, wall_ns
from leadline.runtime.context import Context, open_context
from leadline.runtime.exit_codes import EXIT_FAILED, EXIT_REFUSED
from leadline.runtime.metrics_server import serve_metrics
from leadline.runtime.rpc.health import Health
from leadline.runtime.runs import RunReplaced
from leadline.runtime.settings import ServiceSettings, load_settings, validate_params
from leadline.runtime.telemetry import configure_logging, configure_tracing
from leadline.runtime.version import code_version, package_version

HEARTBEAT_SECONDS: Final = 1.0
STOP_SECONDS: Final = 8.0

Run = Callable[[Context], Awaitable[None]]


def run_service(name: str, settings_path: Path) -> int:
    """Run a service until SIGTERM or SIGINT. Returns the exit code: 0, 1 it failed, 2 starting it again is no use."""
    try:
        settings = load_settings(settings_path)
        if settings.service != name:
            raise InvalidInput(f"{settings_path}: service", settings.service, name)
        if settings.instruments_file is not None:  # before anything asks the sheet
            _know(settings.instruments_file)
        run = _room(name)
        validate_params(params_model(name), settings.params)
    except (LeadlineError, OSError) as error:
        sys.stderr.write(f"{error_text(error)}\n")
        return EXIT_REFUSED
    log = configure_logging(settings.service, settings.workload)
    tracing = configure_tracing(settings.service, settings.workload, package_version())
    _serve_metrics(settings)
    # What the imports have made lives as long as the process: the collector need not look at it again.
    gc.freeze()
    try:
        return asyncio.run(_live(settings, run, log))
    finally:
        if tracing is not None:
            tracing.shutdown()


def _know(instruments: Path) -> None:
    # The readers of manifests and files: most services have no use for them.
    from leadline.model.manifest.own_markets import own_files, put_in_force, read_own  # noqa: PLC0415

    put_in_force(read_own(own_files(instruments, ()) if instruments.is_dir() else [instruments]))


def _room(name: str) -> Run:
    """The room's `run`, imported only now: a process holds the code of one service."""
    if name not in processes():
        raise InvalidInput("service", name, "one of " + ", ".join(processes()))
    run: Run = importlib.import_module(f"{service_of(name).package}.service").run
    return run


def params_model(name: str) -> type[ServiceParams]:
    """The model of what a service is told. Raises Unknown for a service that is none."""
    named = service_of(name).params
    if named is None:
        return NoParams
    module, _, model = named.partition(":")
    found: type[ServiceParams] = getattr(importlib.import_module(module), model)
    return found


def _serve_metrics(settings: ServiceSettings) -> None:
    host, _, port = settings.metrics_listen.rpartition(":")
    serve_metrics(host.strip("[]") or "0.0.0.0", int(port), settings.metrics_token_file)  # noqa: S104 - settings say so
    measurements.SERVICE_INFO.labels(settings.service, settings.workload, package_version(), code_version()).set(1)
    measurements.READY.labels(settings.service).set(0)


async def _live(settings: ServiceSettings, run: Run, log: structlog.stdlib.BoundLogger) -> int:
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_requested.set)
    heart = asyncio.create_task(_beat(settings.service))
    stop = asyncio.create_task(stop_requested.wait())
    health = Health()
    try:
        if settings.health_listen is not None:
            await health.listen(settings.health_listen)
        return await _run_until(stop, settings, run, log, health)
    except OSError as error:
        log.critical("service.cannot_start", reason=str(error))
        return EXIT_FAILED
    finally:
        await health.close()
        for task in (heart, stop):
            task.cancel()
        await asyncio.wait([heart, stop])


async def _run_until(
    stop: "asyncio.Task[bool]", settings: ServiceSettings, run: Run, log: structlog.stdlib.BoundLogger, health: Health
) -> int:
    opening = asyncio.create_task(open_context(settings, log, health))
    await asyncio.wait({opening, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not opening.done():
        opening.cancel()
        await asyncio.wait([opening])
        return 0
    try:
        context = opening.result()
    except (LeadlineError, OSError) as error:
        log.critical("service.cannot_start", reason=str(error))
        return EXIT_FAILED
    log.info("service.started", version=package_version(), code=context.code_version)
    running = asyncio.ensure_future(run(context))
    try:
        ends: list[asyncio.Future[Any]] = [running, stop, context.crashed]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return await _end(running, context, log, asked=stop.done())
    finally:
        await context.close()


async def _end(
    running: "asyncio.Future[None]", context: Context, log: structlog.stdlib.BoundLogger, *, asked: bool
) -> int:
    """Let `run` return, and say how it went."""
    context.stopping.set()
    context.set_ready(False)
    done, _ = await asyncio.wait({running}, timeout=STOP_SECONDS if not context.crashed.done() else 0)
    if not done:
        running.cancel()
        await asyncio.wait({running})
    ended = [future for future in (context.crashed, running) if future.done() and not future.cancelled()]
    errors = [error for future in ended if (error := future.exception()) is not None]
    for replaced in [error for error in errors if isinstance(error, RunReplaced)]:
        log.info("service.follows_the_run", reason=str(replaced))
        errors.remove(replaced)
    for error in errors:
        if _is_for_good(error, context):
            log.critical("service.given_up", reason=str(error), exc_info=error)
            return EXIT_REFUSED
        log.error("service.failed", reason=str(error) or type(error).__name__, exc_info=error)
    if errors:
        return EXIT_FAILED
    if not asked and not context.crashed.done():
        log.info("service.finished")
    log.info("service.stopped")
    return 0


def _is_for_good(error: BaseException, context: Context) -> bool:
    """Whether another start would meet the same: what was given cannot be used, or the work itself says so."""
    return isinstance(error, GivenUp) or (isinstance(error, InvalidInput | Unknown) and not context.was_ready)


async def _beat(service: str) -> None:
    """Show that the loop turns, and how late it is."""
    heartbeat = measurements.HEARTBEAT.labels(service)
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            heartbeat.set(wall_ns() / NS_PER_SECOND)
            before = monotonic_s()
            await asyncio.sleep(HEARTBEAT_SECONDS)
            measurements.LOOP_LAG.observe(max(0.0, monotonic_s() - before - HEARTBEAT_SECONDS))
