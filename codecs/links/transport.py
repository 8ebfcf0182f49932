"""The wires of a live stream: MPEG-TS over UDP, TCP, RTP or SRT, and the receiver's reports on the way back.

Both ends are file-like, for PyAV: an `Outlet` is written to, an `Inlet` is read from. An inlet counts what has come
and what was lost; what it is told to reply reaches the outlet's `replies`, over SRT (which mends losses itself) never.
"""

from __future__ import annotations

import threading

from irn_video.codecs.errors import LinkFailed

from .datagrams import RtpInlet, RtpOutlet, UdpInlet, UdpOutlet
from .ends import Inlet, Outlet
from .srt import SrtInlet, SrtOutlet
from .tcp import TcpInlet, TcpOutlet
from .url import LiveUrl


def connect(url: LiveUrl) -> Outlet:
    """The sender's end of a link.

    Raises:
        LinkFailed: nobody is there (TCP, SRT), or the address makes no sense.
    """
    try:
        return _outlet(url)
    except OSError as error:
        raise LinkFailed(f"cannot send to {url}: {cause(error)}", hint="is irn-stream receive there?") from error


def listen(url: LiveUrl, *, wait: float, patience: float, ended: threading.Event | None = None) -> Inlet:
    """The receiver's end of a link, at the address of the URL and no other.

    Raises:
        LinkFailed: the port is taken, or the address is not of this machine.
    """
    try:
        return _inlet(url, wait, patience, ended or threading.Event())
    except OSError as error:
        raise LinkFailed(f"cannot listen at {url}: {cause(error)}", hint="choose another port") from error


def cause(error: BaseException) -> str:
    """In a few words."""
    return str(getattr(error, "strerror", None) or error)


def _outlet(url: LiveUrl) -> Outlet:
    match url.scheme:
        case "udp":
            return UdpOutlet(url)
        case "rtp":
            return RtpOutlet(url)
        case "srt":
            return SrtOutlet(url)
    return TcpOutlet(url)


def _inlet(url: LiveUrl, wait: float, patience: float, ended: threading.Event) -> Inlet:
    match url.scheme:
        case "udp":
            return UdpInlet(url, wait, patience, ended)
        case "rtp":
            return RtpInlet(url, wait, patience, ended)
        case "srt":
            return SrtInlet(url, wait, patience, ended)
    return TcpInlet(url, wait, patience, ended)
