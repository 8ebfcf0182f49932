"""How a live stream does on this machine: both ends as processes of their own, a link between them that loses packets.

python samples/measure loopback CLIP [--seconds 120] [--loss 0.05] [--bitrate 800k] [--model NAME]

The receiver measures PSNR too. Memory is the receiver's resident set, after the first quarter and at its highest.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
from irn_video.pipeline.live.link import Link, LinkConditions, free_port

from measure.options import VIDEO, model_option

PROGRAM = [sys.executable, "-m", "irn_video.pipeline.commands.stream"]
POLL_SECONDS = 1.0
READY_SECONDS = 6.0


def resident(process: int) -> int:
    """Bytes, as Linux tells them."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def result(name: str, process: subprocess.Popen[str]) -> dict[str, Any]:
    """What one of the two has printed; its messages have gone to stderr."""
    printed, _ = process.communicate()
    if process.returncode:
        raise click.ClickException(f"the {name} has failed")
    found: dict[str, Any] = json.loads(printed)
    return found


def run(clip: Path, seconds: float, loss: float, options: list[str]) -> dict[str, Any]:
    """Figures of one run."""
    port = free_port()
    receiving = [*PROGRAM, "receive", f"udp://127.0.0.1:{port}", "--source", str(clip), "--json"]
    with Link(port, LinkConditions(loss=loss)) as link:
        receiver = subprocess.Popen(receiving, stdout=subprocess.PIPE, text=True)
        time.sleep(READY_SECONDS)
        where = f"udp://127.0.0.1:{link.port}"
        sending = [*PROGRAM, "send", str(clip), where, "--loop", "--seconds", str(seconds), "--json", *options]
        sender = subprocess.Popen(sending, stdout=subprocess.PIPE, text=True)
        memory = []
        while sender.poll() is None:
            memory.append(resident(receiver.pid))
            time.sleep(POLL_SECONDS)
        sent, found = result("sender", sender), result("receiver", receiver)
    counted = found["arrived"] + found["missing"]
    return {
        "sent": sent["frames"],
        "left out by the sender": sent["skipped"],
        "arrived": found["arrived"],
        "missing": found["missing"],
        "before the first keyframe or after the last frame": sent["frames"] + sent["skipped"] - counted,
        "restored": found["restored"],
        "by Lanczos": found["fallback"],
        "late": found["late"],
        "concealed": found["concealed"],
        "packets lost": found["lost_packets"],
        "fps": round(found["fps"], 2),
        "kbps": round(found["kbps"], 1),
        "delay_ms": round(found["delay_ms"]),
        "delay_p95_ms": round(found["delay_p95_ms"]),
        "stall_ms": round(found["stall_ms"]),
        "psnr_y": round(found["psnr_y"], 2),
        "megabytes": [round(value / 1e6) for value in (memory[len(memory) // 4], max(memory))],
    }


@click.command()
@click.argument("clip", type=VIDEO)
@click.option("--seconds", default=120.0, show_default=True)
@click.option("--loss", default=0.0, show_default=True, help="Share of the datagrams that are lost.")
@click.option("--bitrate", default="800k", show_default=True)
@model_option("irn-h264-x2")
def command(clip: Path, seconds: float, loss: float, bitrate: str, model: str) -> None:
    """Send CLIP to this machine live, for some time."""
    found = run(clip, seconds, loss, ["--bitrate", bitrate, "--model", model, "--no-congestion"])
    click.echo(json.dumps(found, indent=1))
