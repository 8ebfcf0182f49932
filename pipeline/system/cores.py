"""How many of the processor's cores this process may use."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """At least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def live_threads() -> int:
    """For a network whose frames come one by one: all cores but one, which decoder and encoder need."""
    return max(1, usable_cores() - 1)
