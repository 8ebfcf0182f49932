"""What figures of speed were measured on."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click
from irn_video.pipeline.system.cores import usable_cores

_CPUINFO = Path("/proc/cpuinfo")
_WIDEST = ("avx512f", "avx2", "avx", "sse4_2", "asimd")
_PACKAGES = ("torch", "onnxruntime", "av", "numpy", "opencv-python")
_BUSY_LOAD = 0.5


def machine() -> dict[str, Any]:
    """The processor, how many of its cores may be used, and the versions of what does the work."""
    return {
        "processor": processor(_CPUINFO.read_text() if _CPUINFO.exists() else ""),
        "cores": usable_cores(),
        "system": platform.platform(),
        "packages": {"python": platform.python_version()} | dict(_versions()),
    }


def machine_line(found: dict[str, Any]) -> str:
    """The same for people."""
    packages = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
    return f"{found['processor']}, {found['cores']} cores; {packages}"


def processor(cpuinfo: str) -> str:
    """Its name and its widest vectors, out of what Linux tells; elsewhere, what Python knows."""
    name = re.search(r"^model name\s*: (.+)$", cpuinfo, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", cpuinfo, re.MULTILINE)
    known = flags[1].split() if flags else []
    widest = next((word.upper() for word in _WIDEST if word in known), "")
    return ", ".join(part for part in (name[1] if name else platform.processor() or platform.machine(), widest) if part)


def warn_if_busy() -> None:
    """Say that others work here too: what they take is missing in every figure."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > _BUSY_LOAD:
        click.echo(f"warning: the machine is busy (load {load:.1f}); run this on an idle one", err=True)


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:  # not every version of the product needs all of them
            continue
    return found
