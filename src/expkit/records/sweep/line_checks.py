"""Checks of a sweep's recorded lines, whose ids and names become paths."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TypeGuard

from expkit.records.files import Record
from expkit.records.run.schema import is_config, is_count, is_duration

TICKET = re.compile(r"\w+")


def is_id(value: object) -> TypeGuard[str]:
    """Tell whether a value is an id as `job_id` makes them."""
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{16}", value) is not None


def is_plan(record: Record) -> bool:
    """A line of plan.jsonl."""
    overrides = record["overrides"]
    return (
        is_id(record["job"])
        and is_count(record["number"])
        and isinstance(overrides, list)
        and all(isinstance(word, str) for word in overrides)
        and is_config(record["config"])
        and isinstance(record.get("change"), str | None)
        and isinstance(record.get("choices", {}), dict)
        and all(isinstance(choice, str) for choice in record.get("choices", {}).values())
    )


def is_event(record: Record, statuses: Collection[str]) -> bool:
    """A run lies in its sweep, unless it was taken over from another."""
    run = record.get("run")
    match record["event"]:
        case "run":
            return isinstance(run, str) and run not in ("", "..") and Path(run).name == run
        case "reused":
            return isinstance(run, str) and "\0" not in run
        case "ended":
            seconds = record.get("seconds")
            is_told = seconds is None or is_duration(seconds)
            return is_told and record.get("status") in statuses
        case event:
            return isinstance(event, str)


def is_ticket(record: Record) -> bool:
    """A name of the engine's own, which its commands are given."""
    ticket = record["ticket"]
    is_name = isinstance(ticket, str) and TICKET.fullmatch(ticket) is not None
    return is_name and is_id(record["job"])
