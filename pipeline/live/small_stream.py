"""The LR stream as it arrives, for browsers that restore it themselves."""

from __future__ import annotations

import json

from irn_video.codecs.avc import avc_name
from irn_video.codecs.live import Arrival
from irn_video.pipeline.live.server import PageServer, SmallPicture
from irn_video.pipeline.restoring import restoration_of


class SmallStream:
    """Hands pictures to a server, from the first keyframe on.

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
        }
    )


def _head(arrival: Arrival) -> str:
    stamp, qp = arrival.stamp, arrival.picture.qp
    if qp is None:  # the receiver's own guess
        qp = restoration_of(arrival.card, temperature=None, seed=None).quantiser
    what = {"index": stamp.index, "captured": stamp.captured / 1000, "qp": qp, "keyframe": arrival.keyframe}
    return json.dumps({"type": "picture", **what})
