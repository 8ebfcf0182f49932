from __future__ import annotations

import struct

from irn_video.codecs.hdr import HdrMetadata, MasteringDisplay

DISPLAY = MasteringDisplay((0.68, 0.32), (0.265, 0.69), (0.15, 0.06), (0.3127, 0.329), 0.0001, 1000.0)


def test_parses_side_data() -> None:
    points = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329)
    numbers = [n for p in points for n in (round(p * 50000), 50000)] + [1, 10000, 10000000, 10000, 1, 1]
    assert HdrMetadata.from_side_data(struct.pack("=22i", *numbers), struct.pack("=2I", 1000, 400)) == HdrMetadata(
        DISPLAY, 1000, 400
    )


def test_nothing_told_is_none() -> None:
    assert HdrMetadata.from_side_data(None, None) is None
    assert HdrMetadata.from_side_data(b"\0" * 88, b"\0" * 8) is None
    assert HdrMetadata.from_side_data(b"short", None) is None


def test_spelling_of_each_encoder() -> None:
    hdr = HdrMetadata(DISPLAY, 1000, 400)
    chromaticities = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    assert hdr.x265_params() == [f"master-display={chromaticities}", "max-cll=1000,400"]
    assert hdr.x264_params() == [f"mastering-display={chromaticities}", "cll=1000,400"]
    assert hdr.svtav1_params()[1] == "content-light=1000,400"
    assert HdrMetadata().x265_params() == HdrMetadata().svtav1_params() == []
