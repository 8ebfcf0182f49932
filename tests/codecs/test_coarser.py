from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from irn_video.codecs.encoders import EncoderSettings, make_encoder
from irn_video.codecs.reading.frame_data import mean_qp
from irn_video.codecs.writing.coarser import CodedGroup, coarser_settings
from irn_video.codecs.writing.roundtrip import h264_decoder

Groups = list[tuple[CodedGroup, CodedGroup | None]]


def quantisers(group: CodedGroup) -> list[float]:
    decoder = h264_decoder(extradata=group.extradata)
    found = [mean_qp(frame) for packet in (*group.packets, None) for frame in decoder.decode(packet)]
    return [qp for qp in found if qp is not None]


def sent(
    tools: Any, path: Path, settings: EncoderSettings, frames: int = 30, *, coarser: bool = True, **options: Any
) -> Groups:
    """What the tuner gets."""
    groups: Groups = []

    def tune(group: CodedGroup, fewer: CodedGroup | None) -> bytes:
        if fewer is not None:  # now, since the muxer changes them
            assert {packet.pts for packet in fewer.packets} == {packet.pts for packet in group.packets}
        groups.append((group, fewer))
        return b""

    tools.write(path, tools.draw(frames, **options), settings, tune=tune, coarser=coarser)
    return groups


@pytest.mark.parametrize(
    ("settings", "coarser"),
    [
        (EncoderSettings(), EncoderSettings(crf=25)),
        (EncoderSettings(crf=30, keyint=5), EncoderSettings(crf=32, keyint=5)),
        (EncoderSettings(crf=50), None),
        (EncoderSettings(bitrate=1_000_000), EncoderSettings(bitrate=800_000)),
        (EncoderSettings(bitrate=1_000), None),
        (EncoderSettings(lossless=True), None),
    ],
)
def test_settings(settings: EncoderSettings, coarser: EncoderSettings | None) -> None:
    assert coarser_settings(make_encoder(settings)) == coarser


@pytest.mark.parametrize("extension", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("settings", [{"crf": 26}, {"bitrate": 400_000}])
def test_the_same_pictures_in_fewer_bits(tools: Any, tmp_path: Path, extension: str, settings: dict[str, Any]) -> None:
    groups = sent(tools, tmp_path / f"x.{extension}", EncoderSettings(preset="veryfast", keyint=12, **settings))
    assert len(groups) == 3
    assert sum(len(group.packets) for group, _ in groups) == 30
    for group, coarser in groups:
        assert coarser is not None
        assert coarser.bytes < group.bytes
        fine, coarse = quantisers(group), quantisers(coarser)
        assert len(fine) == len(coarse) == len(group.packets)
        assert 0.5 < sum(coarse) / len(coarse) - sum(fine) / len(fine) < 4
    assert len(tools.read(tmp_path / f"x.{extension}")) == 30


def test_it_changes_nothing(tools: Any, tmp_path: Path) -> None:
    settings = EncoderSettings(crf=26)
    sent(tools, tmp_path / "x.mp4", settings)
    tools.write(tmp_path / "y.mp4", tools.draw(30), settings)
    assert (tmp_path / "x.mp4").read_bytes() == (tmp_path / "y.mp4").read_bytes()


def test_where_there_are_none(tools: Any, tmp_path: Path) -> None:
    assert [coarser for _, coarser in sent(tools, tmp_path / "x.mp4", EncoderSettings(crf=51))] == [None]


def test_nothing_is_coded_twice_for_who_does_not_want_it(
    tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("irn_video.codecs.writing.writer.CoarserStream")
    ((group, coarser),) = sent(tools, tmp_path / "x.mp4", EncoderSettings(), coarser=False)
    assert coarser is None
    assert len(group.packets) == 30


def test_one_picture(tools: Any, tmp_path: Path) -> None:
    ((group, coarser),) = sent(tools, tmp_path / "x.mp4", EncoderSettings(), frames=1)
    assert coarser is not None
    assert len(group.packets) == len(coarser.packets) == 1


def test_other_keyframes(tools: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that the second encoder does not begin with a keyframe tells nothing."""
    monkeypatch.setattr(
        "irn_video.codecs.writing.writer.coarser_settings",
        lambda _: EncoderSettings(crf=28, keyint=15, preset="veryfast"),
    )
    groups = sent(tools, tmp_path / "x.mp4", EncoderSettings(crf=26, keyint=10, preset="veryfast"))
    first, *others = (coarser for _, coarser in groups)
    assert first is not None
    assert len(others) > 1
    assert not any(others)
