"""The stream card: what an LR stream says about itself, so that the receiver needs no options.

One versioned JSON object in two places: an SEI message on every keyframe of H.264 and H.265, which survives remuxing,
MPEG-TS, fragmenting and cutting, and the container's `comment` tag, which also works for AV1 and FFV1. The tag holds
base64 of the JSON. The SEI message holds it deflated, with every byte XORed with one that does not occur, so that no
zeros are left for the stream's syntax to escape: at the lowest rates 700 bytes on every keyframe would be several per
cent of a stream. Version 1 had base64 there too, and whole digests.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from irn_video.codecs.errors import BadCard
from irn_video.codecs.picture import ColorSpec, Layout
from irn_video.codecs.scales import SCALES, shrunk

CARD_VERSION = 2
# Written only where a stream starts within its source, or has a look: older programs read all others.
_WITH_START, _WITH_LOOK = 3, 4
_READABLE = (1, CARD_VERSION, _WITH_START, _WITH_LOOK)
_ADDED = {"start": _WITH_START, "look": _WITH_LOOK}  # fields, and since which version
MAX_CARD_BYTES = 65536
"""Longer JSON, or longer base64 of it, is refused before it is parsed."""
MAX_COMMENT = 16384
_MAX_SEI_COMMENT = 256  # it is repeated on every keyframe; longer comments travel in the tag alone
_DEFLATED = b"\x01"  # no JSON begins like this
_MASKED = 2  # nor base64
DIGEST = 16
"""Hexadecimal digits of SHA-256 that a card holds: enough to tell files apart, not to withstand an attack."""
# A typical card: what a card shares with it costs next to nothing. Part of the format, never to be changed.
_DICTIONARY = (
    b'{"bit_depth":8,"bitrate":null,"codec":"h264","color":{"chroma_siting":1,"full_range":false,"matrix":1,'
    b'"primaries":1,"transfer":1},"comment":null,"crf":23,"frames":null,"height":1080,"latent_std":0.05,'
    b'"layout":"yuv420","lossless":false,"model":"irn-h264-x2","model_sha256":"","pad_bottom":0,"pad_right":0,'
    b'"scale":2,"seed":0,"source_bytes":1000000,"source_name":"input.mp4","source_sha256":"","version":1,"width":1920}'
)
_TAG_PREFIX = "irn-video card "
_MAX_SIDE = 1 << 20  # of an image; a video is checked against its frames
_SHA256 = re.compile(r"[0-9a-f]{16,64}")


@dataclass(frozen=True, kw_only=True)
class StreamCard:
    """How an LR stream was made and what its restoration must look like.

    Attributes:
        model: name of the network.
        model_sha256: first digits of the SHA-256 of its weights (`digest_of`), empty for one without weights.
        scale: downscaling factor, a whole number from 1 to 16 or 1.5.
        width, height: size of the HR picture before padding, in luma samples.
        pad_right, pad_bottom: HR samples added by edge replication, to be cropped on return.
        layout, bit_depth, color: samples and colour of the source.
        codec, crf, bitrate (bits/s), lossless: how the LR stream was encoded.
        latent_std: default temperature of the latents.
        seed: seed of the latents, 0 to 2⁶³ − 1.
        source_name, source_bytes, source_sha256: the source file, without folders; first digits or nothing.
        frames: number of pictures, None when not known in advance.
        comment: the comment tag the source had.
        start: when the first picture is shown in the source, in seconds after the source's first one; None for that.
        look: how the sender wants the detail filled in that is not known; None for what the network does by itself.
        version: format of the card: the first that has all its fields, see `version_of`.

    Raises:
        BadCard: a field is of the wrong type or out of range.
    """

    model: str
    model_sha256: str
    scale: float
    width: int
    height: int
    pad_right: int
    pad_bottom: int
    layout: str
    bit_depth: int
    color: ColorSpec
    codec: str
    crf: float | None
    bitrate: int | None
    lossless: bool
    latent_std: float
    seed: int
    source_name: str
    source_bytes: int
    source_sha256: str
    frames: int | None
    comment: str | None = None
    start: float | None = None
    look: str | None = None
    version: int = CARD_VERSION

    def __post_init__(self) -> None:
        for field in fields(self):
            if not _CHECKS[field.name](getattr(self, field.name)):
                raise BadCard(f"the card is damaged: {field.name} = {_short(getattr(self, field.name))}")
        if max(self.version, CARD_VERSION) != version_of(self.start, self.look):
            raise BadCard(f"the card is damaged: version {self.version}, start = {self.start}, look = {self.look}")

    @property
    def lr_size(self) -> tuple[int, int]:
        """(height, width) of the LR pictures."""
        return shrunk(self.height + self.pad_bottom, self.scale), shrunk(self.width + self.pad_right, self.scale)

    def to_json(self) -> str:
        """Compact JSON, ASCII, keys sorted: the same card is always the same text."""
        later = {name for name, since in _ADDED.items() if since > self.version}
        values = {name: value for name, value in asdict(self).items() if name not in later}
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> StreamCard:
        """Parse and check a card from anywhere.

        Raises:
            BadCard: too long, not JSON, of another version, with missing, unknown or senseless fields.
        """
        values = _parse(text)
        version = values.get("version")
        if version not in _READABLE or isinstance(version, bool):
            raise BadCard(
                f"the card has version {_short(version)}, this program reads up to {_READABLE[-1]}",
                hint="a newer irn-video is needed",
            )
        names = {field.name for field in fields(cls)} - {name for name, since in _ADDED.items() if since > version}
        if names != values.keys():
            odd = ", ".join(sorted(names ^ values.keys())[:5])
            raise BadCard(f"the card, version {version}, has missing or unknown fields: {odd[:100]!r}")
        return cls(**{**values, "color": _color(values["color"])})

    def to_payload(self) -> bytes:
        """The payload of the SEI message, without zeros: deflated JSON, a long comment left out."""
        card = self if len(self.comment or "") <= _MAX_SEI_COMMENT else replace(self, comment=None)
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
        content = deflate.compress(card.to_json().encode()) + deflate.flush()
        mask = next((mask for mask in range(1, 256) if mask not in content), None)
        if mask is None:
            return base64.b64encode(_DEFLATED + content)
        return bytes([_MASKED, mask]) + _masked(content, mask)

    def to_tag(self) -> str:
        """The value of the container's `comment` tag."""
        return _TAG_PREFIX + base64.b64encode(self.to_json().encode()).decode()


def version_of(start: float | None, look: str | None = None) -> int:
    """The version of a card with this `start` and `look`."""
    if look is not None:
        return _WITH_LOOK
    return CARD_VERSION if start is None else _WITH_START


def parse_payload(payload: bytes) -> StreamCard:
    """Read a card from an SEI message, or from base64 of JSON as it stands in the tag after the prefix.

    Raises:
        BadCard: see `StreamCard.from_json`.
    """
    if len(payload) > MAX_CARD_BYTES:
        raise BadCard(f"the card is too long: {len(payload)} bytes")
    if payload[:1] == bytes([_MASKED]) and len(payload) > 2:
        return StreamCard.from_json(_inflated(_masked(payload[2:], payload[1])))
    try:
        content = base64.b64decode(payload.rstrip(b"\0"), validate=True)
    except binascii.Error as error:
        raise BadCard("the card is not base64") from error
    return StreamCard.from_json(_inflated(content[1:]) if content.startswith(_DEFLATED) else content)


def digest_of(sha256: str) -> str:
    """The part of a SHA-256 in hexadecimal that goes into a card."""
    return sha256[:DIGEST]


def is_digest_of(digest: str, sha256: str) -> bool:
    """Whether the digest in a card, of any length, is that of a whole SHA-256; an empty one only of an empty one."""
    return sha256.startswith(digest) if digest else not sha256


def _masked(content: bytes, mask: int) -> bytes:
    return bytes(byte ^ mask for byte in content)


def _inflated(content: bytes) -> bytes:
    inflate = zlib.decompressobj(-15, _DICTIONARY)
    try:
        text = inflate.decompress(content, MAX_CARD_BYTES)
    except zlib.error as error:
        raise BadCard("the card is damaged: it does not inflate") from error
    if not inflate.eof:
        raise BadCard("the card is damaged: cut short, or too long")
    return text


def tag_payload(comment: str | None) -> bytes | None:
    """The payload inside a `comment` tag; None when the comment is somebody's own text."""
    if comment is None or not comment.startswith(_TAG_PREFIX):
        return None
    return comment[len(_TAG_PREFIX) :].strip().encode("ascii", errors="replace")


def _parse(text: str | bytes) -> dict[str, Any]:
    if len(text) > MAX_CARD_BYTES:
        raise BadCard(f"the card is too long: {len(text)} bytes")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadCard("the card is not JSON") from error
    if not isinstance(values, dict):
        raise BadCard("the card is not a JSON object")
    return values


def _color(values: object) -> ColorSpec:
    if not isinstance(values, dict) or values.keys() != {field.name for field in fields(ColorSpec)}:
        raise BadCard("the card is damaged: color")
    return ColorSpec(**values)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _real(low: float, high: float) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and math.isfinite(value) and low <= value <= high

    return check


def _text(most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= most and "\0" not in value


def _optional(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _digest(value: Any) -> bool:
    return isinstance(value, str) and (not value or _SHA256.fullmatch(value) is not None)


def _file_name(value: Any) -> bool:
    """A bare name: the receiver looks for the source beside its input, never elsewhere."""
    return _text(255)(value) and value not in (".", "..") and not set(value) & set("/\\")


def _is_color(value: Any) -> bool:
    code = _whole(0, 255)
    return (
        isinstance(value, ColorSpec)
        and all(code(v) for v in (value.matrix, value.primaries, value.transfer))
        and _whole(0, 6)(value.chroma_siting)
        and (value.full_range is None or isinstance(value.full_range, bool))
    )


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "model": lambda value: _text(200)(value) and value.isprintable(),  # it is shown on terminals
    "model_sha256": _digest,
    "scale": lambda value: _whole(1, 16)(value) or (isinstance(value, float) and value in SCALES and value % 1 != 0),
    "width": _whole(1, _MAX_SIDE),
    "height": _whole(1, _MAX_SIDE),
    "pad_right": _whole(0, 1024),
    "pad_bottom": _whole(0, 1024),
    "layout": lambda value: isinstance(value, str) and value in set(Layout),
    "bit_depth": _whole(8, 16),
    "color": _is_color,
    "codec": _text(50),
    "crf": _optional(_real(0, 63)),
    "bitrate": _optional(_whole(1, 10**11)),
    "lossless": lambda value: isinstance(value, bool),
    "latent_std": _real(0, 100),
    "seed": _whole(0, 2**63 - 1),
    "source_name": _file_name,
    "source_bytes": _whole(0, 2**63 - 1),
    "source_sha256": _digest,
    "frames": _optional(_whole(0, 2**53)),
    "comment": _optional(_text(MAX_COMMENT)),
    "start": _optional(_real(0, 10**9)),
    "look": _optional(lambda value: _text(50)(value) and value.isprintable()),
    "version": _whole(_READABLE[0], _READABLE[-1]),
}
