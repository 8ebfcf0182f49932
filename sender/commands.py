"""Commands to a live sender, one a line: `bitrate 400k`, `model NAME`, `tier lite|fast|base`, `scale 1|1.5|2|4|auto`,
`congestion on|off`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TextIO

from irn_video.codecs.encoders import parse_bitrate
from irn_video.codecs.errors import BadOption, IrnError
from irn_video.codecs.scales import parse_scale
from irn_video.pipeline.zoo.tiers import network_of
from irn_video.sender.live import LiveControl

_HINT = "bitrate 400k, model NAME, tier lite, scale 1, 1.5, 2, 4 or auto, congestion on or off"


def obey(lines: TextIO, control: LiveControl, *, say: Callable[[str], None]) -> None:
    """Follow the commands as they come, in a thread of its own that ends with them or with the program."""

    def follow() -> None:
        for line in lines:
            if line.strip():
                try:
                    apply(line, control)
                except IrnError as error:
                    say(f"warning: {error}")

    threading.Thread(target=follow, name="irn-commands", daemon=True).start()


def apply(line: str, control: LiveControl) -> None:
    """One command.

    Raises:
        BadOption: it is none.
    """
    match line.split():
        case ["bitrate", rate]:
            control.set_bitrate(parse_bitrate(rate))
        case ["model", name]:
            control.set_model(name)
        case ["tier", name]:
            control.set_tier(name)
        case ["scale", "auto"]:
            control.set_model(None)
        case ["scale", ("1" | "1.5" | "2" | "4") as scale]:
            control.set_model(network_of(parse_scale(scale), control.options.tier))
        case ["congestion", ("on" | "off") as how]:
            control.set_congestion(how == "on")
        case _:
            raise BadOption(f"{line.strip()[:60]!r} is no command", hint=_HINT)
