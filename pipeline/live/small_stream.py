"""The LR stream as it arrives, for browsers that restore it themselves."""

from __future__ import annotations

import json

from irn_video.codecs.bitstream.avc import avc_name
from irn_video.codecs.links.live_reader import Arrival
from irn_video.codecs.picture import ColorSpec
from irn_video.pipeline.live.server import PageServer, SmallPicture
from irn_video.pipeline.planes import resolved_color
from irn_video.pipeline.restoring import restoration_of

# Names of code points of ITU-T H.273 in WebCodecs (VideoMatrixCoefficients and so on).
_MATRICES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020-ncl"}
_PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 12: "smpte432"}
_TRANSFERS = {1: "bt709", 6: "smpte170m", 8: "linear", 13: "iec61966-2-1", 16: "pq", 18: "hlg"}


class SmallStream:
    """Hands frames to a server, from the first keyframe on.

    Args:
        server: of the page.
    """

    def __init__(self, server: PageServer) -> None:
        self._server, self._stream = server, ""

    def heard(self, arrival: Arrival) -> None:
        """One more; never waits."""
        if arrival.keyframe and (codec := avc_name(arrival.data)) is not None:
            self._stream = _described(arrival, codec)
        if self._stream and self._server.restoring:
            picture = SmallPicture(self._stream, _head(arrival), arrival.data, arrival.keyframe)
            self._server.send_small(picture)


def _described(arrival: Arrival, codec: str) -> str:
    card, picture = arrival.card, arrival.picture
    return json.dumps(
        {
            "type": "stream",
            "codec": codec,
            "model": card.model,
            "scale": card.scale,
            "width": card.width,
            "height": card.height,
            "lr_width": picture.width,
            "lr_height": picture.height,
            "color": _webcodecs_color(resolved_color(picture.color, card.height)),
        }
    )


def _webcodecs_color(color: ColorSpec) -> dict[str, object]:
    """A colour in the words of WebCodecs' VideoColorSpaceInit, which has none for most code points.

    Browsers guess what a stream does not say from its size, which is not that of the restored frames.
    """
    matrix = _MATRICES.get(color.matrix, "bt709")
    return {
        "matrix": matrix,
        "primaries": _PRIMARIES.get(color.primaries, "bt709" if matrix == "bt709" else "smpte170m"),
        "transfer": _TRANSFERS.get(color.transfer, "bt709"),
        "fullRange": bool(color.full_range),
    }


def _head(arrival: Arrival) -> str:
    stamp, qp = arrival.stamp, arrival.picture.qp
    if qp is None:  # the receiver's own guess
        qp = restoration_of(arrival.card, temperature=None, seed=None).quantiser
    what = {"index": stamp.index, "captured": stamp.captured / 1000, "qp": qp, "keyframe": arrival.keyframe}
    return json.dumps({"type": "picture", **what})
