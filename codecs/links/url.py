"""Where a live stream goes or comes from."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from irn_video.codecs.errors import BadOption

_SCHEMES = ("udp", "tcp", "rtp", "srt")


@dataclass(frozen=True)
class LiveUrl:
    """Where pictures go or come from.

    Attributes:
        scheme: `udp`, `tcp`, `rtp` or `srt`.
        host, port: the receiver's.
    """

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> LiveUrl:
        """`udp://HOST:PORT`, and the same with tcp, rtp or srt; IPv6 addresses in brackets.

        Raises:
            BadOption: anything else.
        """
        hint = "write udp://127.0.0.1:5000, or tcp, rtp or srt in place of udp"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise BadOption(f"{text!r} is no address", hint=hint) from error
        plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if parts.scheme not in _SCHEMES or not parts.hostname or not port or not plain:
            raise BadOption(f"{text!r} is no address that frames can be sent to", hint=hint)
        return cls(parts.scheme, parts.hostname, port)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def address(self, kind: socket.SocketKind) -> tuple[socket.AddressFamily, Any]:
        """Family and address for a socket of this kind; OSError where the name is not known."""
        family, _, _, _, address = socket.getaddrinfo(self.host, self.port, type=kind)[0]
        return family, address

    @property
    def sdp(self) -> str:
        """Session description (RFC 8866) with which players open an RTP stream."""
        family = "IP6" if ":" in self.host else "IP4"
        lines = (
            "v=0",
            f"o=- 0 0 IN {family} {self.host}",
            "s=IRN Video",
            f"c=IN {family} {self.host}",
            "t=0 0",
            f"m=video {self.port} RTP/AVP 33",
            "a=rtpmap:33 MP2T/90000",
        )
        return "".join(f"{line}\r\n" for line in lines)
