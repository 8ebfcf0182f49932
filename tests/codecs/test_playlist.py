"""Playlists, and where their files come from: read as they are, refused where they lead elsewhere."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from irn_video.codecs.errors import IrnError, LinkFailed, MissingFile, UnreadableVideo
from irn_video.codecs.reading.origins import FileOrigin, WebOrigin, address_of, origin_of
from irn_video.codecs.reading.playlist import (
    MAX_BYTES,
    MAX_ENTRIES,
    MasterPlaylist,
    MediaPlaylist,
    Rendition,
    Segment,
    Variant,
    parse_playlist,
)

MASTER = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a, b",NAME="other",URI="other.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a, b",NAME="first",DEFAULT=YES,URI="sound.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2000,CODECS="avc1.64001f,mp4a.40.2",AUDIO="a, b"
high/index.m3u8?token=1
# a comment
#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=1,BANDWIDTH=1000

low.m3u8
"""
MEDIA = """#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4.000,title
0.m4s
#EXTINF:3.5,
1.m4s
#EXT-X-ENDLIST
"""


class TestReading:
    def test_a_master(self) -> None:
        found = parse_playlist(MASTER)
        high, low = Variant("high/index.m3u8?token=1", 2000, "a, b"), Variant("low.m3u8", 1000)
        sounds = (Rendition("AUDIO", "a, b", "other.m3u8"), Rendition("AUDIO", "a, b", "sound.m3u8", True))
        assert found == MasterPlaylist((high, low), sounds)
        assert isinstance(found, MasterPlaylist)
        assert [found.sound_of(each) for each in found.variants] == ["sound.m3u8", None]
        assert [each.name for each in found.variants] == ["high", "low"]

    def test_a_stream(self) -> None:
        found = parse_playlist(MEDIA.replace("\n", "\r\n"))
        assert found == MediaPlaylist((Segment("0.m4s", 4), Segment("1.m4s", 3.5)), "init.mp4")
        assert isinstance(found, MediaPlaylist)
        assert found.seconds == 7.5

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "no playlist"),
            ("<html>", "no playlist"),
            ("#EXTM3U\n" + "#" * MAX_BYTES, "too long"),
            ("#EXTM3U\n#EXT-X-ENDLIST", "no segments"),
            (MEDIA.replace("#EXT-X-ENDLIST", ""), "no end"),
            (MEDIA.replace("3.5", "-3.5"), "seconds"),
            (MEDIA.replace("3.5", "9" * 12), "seconds"),
            (MEDIA.replace("3.5", "nan"), "seconds"),
            (MEDIA.replace("#EXTINF:3.5", '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:3.5'), "encrypted"),
            (MEDIA.replace("#EXTINF:3.5", "#EXT-X-BYTERANGE:5@0\n#EXTINF:3.5"), "parts of files"),
            (MEDIA.replace("#EXTINF:3.5", "#EXT-X-DISCONTINUITY\n#EXTINF:3.5"), "joined"),
            (MEDIA.replace("#EXTINF:3.5", '#EXT-X-MAP:URI="other.mp4"\n#EXTINF:3.5'), "no common beginning"),
            (MASTER.replace("BANDWIDTH=2000", "BANDWIDTH=much"), "without BANDWIDTH"),
            (MEDIA.replace("0.m4s", "#EXTINF:1,\n0.m4s\n" * (MAX_ENTRIES + 1)), "too many entries"),
        ],
    )
    def test_what_cannot_be_read_is_said(self, text: str, said: str) -> None:
        with pytest.raises(UnreadableVideo, match=said) as caught:
            parse_playlist(text)
        assert len(str(caught.value)) < 200

    def test_whatever_comes_is_read_or_refused(self) -> None:
        """A thousand playlists with bytes exchanged, left out or doubled."""
        chance, read = random.Random(1), 0
        for _ in range(1000):
            content = bytearray(chance.choice((MASTER, MEDIA)).encode())
            for _ in range(chance.randint(1, 6)):
                at, size = chance.randrange(len(content)), chance.randint(0, 9)
                content[at : at + size] = chance.choice((b"", b"\0", b'"', b"\n", b"=" * 40, chance.randbytes(4)))
            try:
                found = parse_playlist(content.decode("utf-8", errors="replace"))
            except UnreadableVideo:
                continue
            read += 1
            assert all(variant.name for variant in getattr(found, "variants", ()))
        assert 100 < read < 900


class TestPlaces:
    def test_addresses_and_files(self) -> None:
        assert address_of(Path("http://host:80/a/b.m3u8?x=1")) == "http://host:80/a/b.m3u8?x=1"
        assert address_of("HTTPS://host/a") == "https://host/a"
        assert address_of("file:///etc/passwd") is None
        assert address_of("a/http.m3u8") is None
        assert origin_of("http://host/a/b.m3u8").at("../c.mp4") == WebOrigin("http://host/c.mp4")
        assert origin_of("http://host/a").at("https://other/b") == WebOrigin("https://other/b")

    @pytest.mark.parametrize("uri", ["file:///etc/passwd", "ftp://host/a", "data:,a", "http://[", "gopher://h/"])
    def test_the_web_leads_to_the_web_alone(self, uri: str) -> None:
        with pytest.raises(UnreadableVideo, match="may not lead to"):
            WebOrigin("http://host/a.m3u8").at(uri)

    @pytest.mark.parametrize(
        "uri", ["/etc/passwd", "../x", "a/../../x", "%2e%2e/x", "http://h/x", "file:///x", "//h/x", "out", "a\0b"]
    )
    def test_a_folder_is_not_left(self, uri: str, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        folder.mkdir()
        (tmp_path / "x").write_bytes(b"secret")
        (folder / "out").symlink_to(tmp_path / "x")
        with pytest.raises(UnreadableVideo, match="may not lead"):
            origin_of(folder / "a.m3u8").at(uri)

    def test_files(self, tmp_path: Path) -> None:
        (tmp_path / "a b.mp4").write_bytes(b"content")
        found = FileOrigin(tmp_path / "a.m3u8", tmp_path).at("a%20b.mp4")
        to = io.BytesIO()
        assert found.copy(to, 7) == 7
        assert to.getvalue() == b"content"
        with pytest.raises(UnreadableVideo, match="larger"):
            found.content(6)
        with pytest.raises(MissingFile):
            found.at("other").content(9)
        with pytest.raises(LinkFailed, match="cannot be reached"):
            WebOrigin("http://127.0.0.1:1/a").content(9)
        assert issubclass(LinkFailed, IrnError)
