"""Phases of an account's loop, as its metric, its answers and the operator name them."""

from enum import StrEnum


class LoopPhase(StrEnum):
    """A phase of the loop. The parts that it waits for are named as `leadline.model.errors.PartFailed` names them."""

    STARTING = "starting"
    RECONCILING = "reconciling"
    RUNNING = "running"
    WAITING_FOR_SIGNALS = "waiting_for_signals"
    WAITING_FOR_VENUE = "waiting_for_venue"
    WAITING_FOR_RISK = "waiting_for_risk"
    WAITING_FOR_DATABASE = "waiting_for_database"
    WAITING_FOR_DISK = "waiting_for_disk"
    WAITING_FOR_PRINTS = "waiting_for_prints"
    WAITING_FOR_PARTS = "waiting_for_parts"
    FINISHED = "finished"
