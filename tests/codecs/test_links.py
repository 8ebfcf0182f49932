"""What the wires count and carry."""

from __future__ import annotations

import random
import socket
import threading
import time

import pytest
from irn_video.codecs.links.link_report import LinkReport
from irn_video.codecs.links.mpegts import LinkCounts, TsCounter
from irn_video.codecs.links.transport import connect, listen
from irn_video.codecs.links.url import LiveUrl

pytestmark = pytest.mark.alone


def ts(counter: int, pid: int = 256, flags: int = 0x10) -> bytes:
    return bytes([0x47, pid >> 8, pid & 255, flags | counter % 16]) + bytes(184)


class TestCounter:
    def test_a_whole_stream_loses_nothing(self) -> None:
        counter = TsCounter()
        for start in range(0, 70, 7):
            counter.feed(b"".join(ts(n) for n in range(start, start + 7)))
        assert counter.counts == LinkCounts(70, 0)

    @pytest.mark.parametrize("gap", [1, 7, 14])
    def test_gaps_are_counted(self, gap: int) -> None:
        counter = TsCounter()
        for n in [*range(5), *range(5 + gap, 10 + gap)]:
            counter.feed(ts(n))
        assert counter.counts == LinkCounts(10, gap)

    def test_streams_count_for_themselves(self) -> None:
        counter = TsCounter()
        for n in range(20):
            counter.feed(ts(n) + ts(3 * n, pid=0x1FFF) + ts(0, pid=300, flags=0x20) + ts(7 - n % 2 * 0, pid=17))
        assert counter.counts.lost == 0  # null packets, packets without payload and repeated ones do not count

    def test_junk_does_no_harm(self) -> None:
        chance, counter = random.Random(0), TsCounter()
        for _ in range(300):
            counter.feed(chance.randbytes(chance.randrange(2000)))
        assert counter.counts.lost <= 15 * counter.counts.received


class TestReport:
    def test_there_and_back(self) -> None:
        report = LinkReport(0xABC, 1, 2, 3, 4)
        assert LinkReport.parse(report.to_bytes()) == report

    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"irn-report 1 00000abc 1 2 3",
            b"irn-report 2 00000abc 1 2 3 4",
            b"irn-report 1 00000abc 1 2 3 -4",
            b"x" * 500,
        ],
    )
    def test_anything_else_is_none(self, message: bytes) -> None:
        assert LinkReport.parse(message) is None


@pytest.mark.parametrize("scheme", ["udp", "tcp", "rtp"])
def test_bytes_go_one_way_and_replies_the_other(scheme: str, port: int) -> None:
    url = LiveUrl.parse(f"{scheme}://127.0.0.1:{port}")
    inlet = listen(url, wait=5, patience=0.3)
    found = bytearray()

    def read() -> None:
        while data := inlet.read(4096):
            found.extend(data)
            inlet.reply(b"irn-report")

    reading = threading.Thread(target=read)
    reading.start()
    outlet = connect(url)
    sent = b"".join(ts(n) for n in range(60))
    assert outlet.write(sent) == len(sent)
    time.sleep(0.2)
    replies = list(outlet.replies())
    outlet.close()
    reading.join(5)
    inlet.close()
    assert found == sent
    assert set(replies) == {b"irn-report"}
    if scheme != "tcp":
        assert inlet.counter.counts == LinkCounts(60, 0)


def test_rtp_headers_of_all_kinds(port: int) -> None:
    """Sources and an extension before the payload; what is no RTP, or another payload, is dropped (RFC 3550 5.1)."""
    inlet = listen(LiveUrl.parse(f"rtp://127.0.0.1:{port}"), wait=5, patience=0.3)
    head, payload = bytes([0x80, 33]) + bytes(10), ts(0)
    packets = [
        b"",
        b"\x00" * 11,
        bytes([0x80, 96]) + bytes(10) + ts(5),
        bytes([0x40, 33]) + bytes(10) + ts(6),
        head + payload,
        bytes([0x82, 33 | 0x80]) + bytes(10) + bytes(8) + payload,
        bytes([0x90, 33]) + bytes(10) + b"\0\0\0\2" + bytes(8) + payload,
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet, ("127.0.0.1", port))
    found = b""
    while data := inlet.read(4096):
        found += data
    inlet.close()
    assert found == 3 * payload


def test_stopping_ends_a_wait(port: int) -> None:
    inlet = listen(LiveUrl.parse(f"udp://127.0.0.1:{port}"), wait=60, patience=60)
    threading.Timer(0.2, inlet.stop).start()
    began = time.monotonic()
    assert inlet.read(100) == b""
    assert time.monotonic() - began < 2
    inlet.close()
