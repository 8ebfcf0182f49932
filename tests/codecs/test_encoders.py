from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from irn_video.codecs.encoders import (
    ENCODERS,
    EncoderSettings,
    canonical_codec,
    choose_samples,
    make_encoder,
    parse_bitrate,
    with_preset,
)
from irn_video.codecs.errors import BadOption, UnavailableEncoder
from irn_video.codecs.picture import Layout
from irn_video.codecs.reading.pixels import samples_of
from irn_video.codecs.writing.containers import CONTAINERS, PICTURES

SOFTWARE = ("h264", "h265", "av1", "ffv1")
NVENC = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("800k", 800_000),
        ("2M", 2_000_000),
        ("1500000", 1_500_000),
        ("1.5M", 1_500_000),
        (" 64K ", 64_000),
        ("1Mbps", 10**6),
    ],
)
def test_bit_rates(text: str, rate: int) -> None:
    assert parse_bitrate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "-800k", "800 k", "1e6", "0", "800", "99G", "٣M", "inf", "nan"])
def test_senseless_bit_rates(text: str) -> None:
    with pytest.raises(BadOption):
        parse_bitrate(text)


@given(st.text(max_size=12))
def test_bit_rates_never_crash(text: str) -> None:
    with contextlib.suppress(BadOption):
        assert parse_bitrate(text) >= 1000


@pytest.mark.parametrize(
    ("codec", "scale", "preset"),
    [
        ("h264", 1, "medium"),
        ("x264", 1.5, "slow"),
        ("h264", 2, "slower"),
        ("h264", 4, "veryslow"),
        ("h265", 4, "medium"),
        ("av1", 2, "8"),
        ("ffv1", 2, None),
    ],
)
def test_default_presets(codec: str, scale: float, preset: str | None) -> None:
    """Of shrunk frames; one that is named stays."""
    settings = EncoderSettings(codec=codec, keyint=7)
    assert with_preset(settings, scale) == replace(settings, preset=preset)
    if preset is not None:
        named = replace(settings, preset=make_encoder(settings).presets[0])
        assert with_preset(named, scale) == named


DEFAULT_CRF = {"h264": 23, "h265": 28, "av1": 35, "ffv1": None, "h264_nvenc": 28, "hevc_nvenc": 28, "av1_nvenc": 28}
"""Part of what the commands promise."""


@pytest.mark.parametrize("codec", ENCODERS)
def test_defaults_are_accepted(codec: str) -> None:
    encoder = make_encoder(EncoderSettings(codec=codec))
    assert encoder.crf is None or 0 < encoder.crf < encoder.max_crf
    assert encoder.crf == DEFAULT_CRF.get(codec, encoder.crf)
    assert set(encoder.containers) <= {kind.name for kind in (*CONTAINERS.values(), PICTURES)}
    assert encoder.formats
    assert all(samples_of(name) for name in encoder.formats)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (EncoderSettings(codec="h999"), "unknown codec.*h26"),
        (EncoderSettings(crf=99), "crf 99 is out of range.*51"),
        (EncoderSettings(crf=-1), "out of range"),
        (EncoderSettings(crf=float("nan")), "out of range"),
        (EncoderSettings(codec="av1", crf=64), "63"),
        (EncoderSettings(crf=20, bitrate=800_000), "exclude"),
        (EncoderSettings(lossless=True, crf=20), "lossless"),
        (EncoderSettings(bitrate=0), "makes no sense"),
        (EncoderSettings(bitrate=-5), "makes no sense"),
        (EncoderSettings(bitrate=800), "800k"),
        (EncoderSettings(preset="warp"), "no preset 'warp'.*medium"),
        (EncoderSettings(preset="slwo"), "did you mean slow"),
        (EncoderSettings(codec="av1", preset="14"), "no preset"),
        (EncoderSettings(codec="ffv1", preset="slow"), "leave it out"),
        (EncoderSettings(tune="fim"), "did you mean film"),
        (EncoderSettings(keyint=0), "keyint"),
        (EncoderSettings(pixel_format="yuv420p12le"), "no pixel format"),
        (EncoderSettings(pixel_format="nonsense"), "no pixel format"),
        (EncoderSettings(codec="av1", pixel_format="yuv444p"), "no pixel format"),
        (EncoderSettings(codec="av1", lossless=True), "no lossless"),
        (EncoderSettings(codec="ffv1", crf=3), "always lossless"),
        (EncoderSettings(codec="ffv1", bitrate=800_000), "always lossless"),
    ],
)
def test_senseless_settings(settings: EncoderSettings, words: str) -> None:
    with pytest.raises(BadOption, match=words) as caught:
        make_encoder(settings)
    assert "\n" not in str(caught.value)


def test_what_each_codec_carries() -> None:
    assert choose_samples(EncoderSettings(), Layout.YUV420, 8) == (Layout.YUV420, 8)
    assert choose_samples(EncoderSettings(), Layout.YUV422, 12) == (Layout.YUV422, 10)
    assert choose_samples(EncoderSettings(), Layout.RGB, 8) == (Layout.YUV444, 8)
    assert choose_samples(EncoderSettings(lossless=True), Layout.RGB, 8) == (Layout.RGB, 8)
    assert choose_samples(EncoderSettings(codec="av1"), Layout.YUV444, 12) == (Layout.YUV420, 10)
    assert choose_samples(EncoderSettings(codec="ffv1"), Layout.RGB, 16) == (Layout.RGB, 16)
    assert choose_samples(EncoderSettings(pixel_format="yuv444p10"), Layout.YUV420, 8) == (Layout.YUV444, 10)
    assert choose_samples(EncoderSettings(pixel_format="rgb24"), Layout.YUV420, 8) == (Layout.RGB, 8)


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize("depth", [8, 9, 10, 12, 14, 16])
def test_a_choice_always_exists_and_is_stable(codec: str, layout: Layout, depth: int) -> None:
    settings = EncoderSettings(codec=codec)
    chosen = choose_samples(settings, layout, depth)
    assert choose_samples(settings, *chosen) == chosen


@pytest.mark.parametrize("codec", SOFTWARE)
def test_each_codec_encodes_every_format_it_names(tools: Any, tmp_path: Path, codec: str) -> None:
    for name in make_encoder(EncoderSettings(codec=codec)).formats:
        sample = samples_of(name)
        assert sample is not None
        pictures = tools.draw(2, 64, 64, *sample)
        preset = {"av1": "12", "ffv1": None}.get(codec, "ultrafast")
        path = tmp_path / f"{name}.mkv"
        tools.write(path, pictures, EncoderSettings(codec=codec, preset=preset, pixel_format=name))
        back = tools.read(path)
        assert len(back) == 2
        assert (back[0].layout, back[0].bit_depth) == sample, name


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_short_h265_has_decoding_times(tools: Any, tmp_path: Path, count: int) -> None:
    """x265 takes those of one or two pictures from unset memory, which the muxers refuse when it is not zero."""
    tools.write(tmp_path / "x.mp4", tools.draw(count, 64, 64), EncoderSettings(codec="h265"))
    with av.open(str(tmp_path / "x.mp4")) as container:
        stamps = [(packet.pts, packet.dts) for packet in container.demux(video=0) if packet.pts is not None]
    assert len(stamps) == count
    assert all(dts is not None and dts <= pts for pts, dts in stamps)
    assert count > 2 or all(pts == dts for pts, dts in stamps)


@pytest.mark.parametrize("codec", ["h264", "h265", "ffv1"])
@pytest.mark.parametrize(
    ("layout", "depth"),
    [(Layout.YUV420, 8), (Layout.YUV444, 8), (Layout.YUV422, 10), (Layout.RGB, 8), (Layout.RGB, 10)],
)
def test_lossless_is_bit_exact(tools: Any, tmp_path: Path, codec: str, layout: Layout, depth: int) -> None:
    if (codec, layout, depth) == ("h264", Layout.RGB, 10):
        assert choose_samples(EncoderSettings(lossless=True), layout, depth) != (layout, depth)
        return
    pictures = tools.draw(4, 66, 50, layout, depth)
    tools.write(tmp_path / "x.mkv", pictures, EncoderSettings(codec=codec, lossless=True))
    assert tools.same(pictures, tools.read(tmp_path / "x.mkv"))


@pytest.mark.parametrize("codec", SOFTWARE)
@pytest.mark.parametrize("extension", ["mkv", "mp4"])
def test_the_same_input_gives_the_same_bytes(tools: Any, tmp_path: Path, codec: str, extension: str) -> None:
    if (codec, extension) == ("ffv1", "mp4"):
        return
    pictures = tools.draw(30, 160, 128)
    files = [tmp_path / f"{run}.{extension}" for run in range(2)]
    for file in files:
        tools.write(file, pictures, EncoderSettings(codec=codec), card=tools.card())
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_the_same_bytes_many_times(tools: Any, tmp_path: Path, codec: str) -> None:
    """x264's AVX-512 code gave other bytes in every second run of this."""
    pictures = tools.draw(20, 320, 176)
    path, seen, clutter = tmp_path / "x.mkv", set(), []
    for run in range(6):
        tools.write(path, pictures, EncoderSettings(codec=codec, preset="faster"), overwrite=True)
        seen.add(path.read_bytes())
        clutter.append(bytes(run * 100_000))  # other memory every time
    assert len(seen) == 1


def test_a_bit_rate_is_met(tools: Any, tmp_path: Path) -> None:
    pictures = tools.draw(100, 160, 128)
    summary = tools.write(tmp_path / "x.mp4", pictures, EncoderSettings(bitrate=400_000, preset="veryfast"))
    assert summary.seconds == 4
    assert summary.video_bytes * 8 / 4 == pytest.approx(400_000, rel=0.3)


def test_keyframe_distance(tools: Any, tmp_path: Path) -> None:
    tools.write(tmp_path / "x.mp4", tools.draw(20), EncoderSettings(keyint=4))
    with av.open(str(tmp_path / "x.mp4")) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert keys[0]
    assert all(any(keys[at : at + 4]) for at in range(16))
    assert sum(keys) < 20


def test_zerolatency_and_other_tunes(tools: Any, tmp_path: Path) -> None:
    for codec, tune in (("h264", "zerolatency"), ("h264", "psnr"), ("h265", "grain"), ("av1", "psnr"), ("av1", "ssim")):
        path = tmp_path / f"{codec}{tune}.mkv"
        tools.write(path, tools.draw(3, 64, 64), EncoderSettings(codec=codec, tune=tune))
        assert len(tools.read(path)) == 3


@pytest.mark.parametrize("codec", NVENC)
def test_nvenc_works_or_says_what_is_missing(tools: Any, tmp_path: Path, codec: str) -> None:
    pictures = tools.draw(5, 256, 256)
    path = tmp_path / "x.mkv"
    try:
        tools.write(path, pictures, EncoderSettings(codec=codec))
    except UnavailableEncoder as error:
        trouble = str(error)
    else:
        assert len(tools.read(path)) == 5
        return
    assert "NVIDIA GPU" in trouble
    assert not list(tmp_path.iterdir())


def test_odd_frame_rates(tools: Any, tmp_path: Path) -> None:
    for rate in (None, Fraction(24000, 1001), Fraction(1, 3), Fraction(1000), Fraction(90000)):
        for codec in ("h264", "av1"):
            path = tmp_path / f"{codec}.mkv"
            pictures = tools.draw(3, 64, 64, time_base=Fraction(1, 1000), pts=[0, 5, 1000])
            settings = EncoderSettings(codec=codec)
            tools.write(path, pictures, settings, frame_rate=rate, overwrite=True)
            assert [picture.pts for picture in tools.read(path)] == [0, 5, 1000]


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="only Linux has it")
def test_av1_leaves_the_threads_priority_as_it_was(tools: Any, tmp_path: Path) -> None:
    """SVT-AV1 run by root would go first for good."""
    before = os.sched_getscheduler(0)
    tools.write(tmp_path / "x.mkv", tools.draw(2, 64, 64), EncoderSettings(codec="av1", preset="12"))
    assert os.sched_getscheduler(0) == before


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        *((name, "h265") for name in ("hevc", "x265", "libx265", "HEVC")),
        *((name, "h264") for name in ("avc", "x264", "libx264")),
        *((name, "av1") for name in ("svtav1", "libsvtav1")),
        *((name, name) for name in (*ENCODERS, "nothing")),
    ],
)
def test_other_names_of_codecs(given: str, meant: str) -> None:
    """Settings have the one name from the start, so that cards, reports and file names do."""
    assert canonical_codec(given) == meant
    assert EncoderSettings(codec=given) == EncoderSettings(codec=meant)
    assert replace(EncoderSettings(), codec=given).codec == meant
