from __future__ import annotations

import gc
import subprocess
import sys
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption, MissingFile, SizeChanged, UnreadableVideo
from irn_video.codecs.picture import Layout
from irn_video.codecs.reading.reader import VideoReader, probe


def reference(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def test_describes_the_stream(mp4: Path) -> None:
    info = probe(mp4)
    assert (info.width, info.height, info.layout, info.bit_depth) == (64, 48, Layout.YUV420, 8)
    assert (info.frames, info.frame_rate, info.codec, info.stream) == (10, 25, "h264", 0)
    assert info.duration_seconds == pytest.approx(0.4)
    assert (info.rotation, info.sample_aspect_ratio, info.hdr, info.interlaced, info.notes) == (0, 1, None, False, ())


def test_pictures_are_the_decoders_samples(mp4: Path) -> None:
    with VideoReader(mp4) as reader:
        pictures = list(reader)
        assert not reader.damage
        assert reader.damage.describe() == "no damage"
    frames = reference(mp4)
    assert len(pictures) == len(frames) == 10
    for picture, frame in zip(pictures, frames, strict=True):
        want = frame.to_ndarray()
        assert np.array_equal(picture.planes[0], want[:48])
        assert picture.planes[1].ravel().tolist() == want[48:60].ravel().tolist()
        assert picture.pts == frame.pts
        assert picture.duration > 0
        assert picture.qp is None


def test_threads_do_not_matter(tools: Any, mp4: Path) -> None:
    assert tools.same(tools.read(mp4, threads=1), tools.read(mp4, threads=4))


def test_stops_after_so_many(tools: Any, mp4: Path) -> None:
    assert len(tools.read(mp4, frames=3)) == 3
    assert len(tools.read(mp4, frames=99)) == 10


@pytest.mark.parametrize("options", [{"frames": 0}, {"frames": -3}, {"threads": -1}])
def test_refuses_senseless_numbers(mp4: Path, options: dict[str, int]) -> None:
    with pytest.raises(BadOption):
        VideoReader(mp4, **options)


def test_iterates_once_and_closes(mp4: Path) -> None:
    with VideoReader(mp4) as reader:
        assert next(iter(reader)).pts == 0
        assert len(list(reader)) == 9
        assert not list(reader)
    reader.close()
    assert not list(reader)


def test_pictures_outlive_the_reader(mp4: Path) -> None:
    with VideoReader(mp4) as reader:
        first = next(iter(reader))
    assert first.planes[0].sum() > 0


@pytest.mark.parametrize("threads", [1, 8])
def test_quantisers_are_exact_and_repeat(tools: Any, mp4: Path, threads: int) -> None:
    with av.open(str(mp4)) as container:
        video = container.streams.video[0]
        video.thread_count = 1
        video.codec_context.options = {"export_side_data": "+venc_params"}
        want = [
            next(s for s in f.side_data if s.type.name == "VIDEO_ENC_PARAMS").qp_map().mean()
            for f in container.decode(video)
        ]  # type: ignore[attr-defined]
    got = [picture.qp for picture in tools.read(mp4, quantiser=True, threads=threads)]
    assert got == pytest.approx(want)
    assert len(set(got)) > 1


@pytest.mark.parametrize(
    ("name", "codec", "layout", "depth"),
    [
        *(
            ("yuv420p", "ffv1", Layout.YUV420, 8),
            ("yuv422p", "ffv1", Layout.YUV422, 8),
            ("yuv444p", "ffv1", Layout.YUV444, 8),
        ),
        *(("yuv420p10le", "libx264", Layout.YUV420, 10), ("yuv444p12le", "ffv1", Layout.YUV444, 12)),
        *(
            ("yuv420p16le", "ffv1", Layout.YUV420, 16),
            ("gbrp10le", "ffv1", Layout.RGB, 10),
            ("bgr0", "ffv1", Layout.RGB, 8),
        ),
        *(
            ("rgb48le", "ffv1", Layout.RGB, 16),
            ("gray", "ffv1", Layout.YUV420, 8),
            ("yuvj420p", "mjpeg", Layout.YUV420, 8),
        ),
        *(("pal8", "png", Layout.RGB, 8), ("rgba", "png", Layout.RGB, 8), ("yuv411p", "ffv1", Layout.YUV422, 8)),
    ],
)
@pytest.mark.parametrize("size", ["64x48", "39x23"])
def test_formats(tools: Any, tmp_path: Path, name: str, codec: str, layout: Layout, depth: int, size: str) -> None:
    width, height = map(int, size.split("x"))
    if codec == "libx264" and width % 2:
        width, height = 38, 22
    clip = tools.clip(
        tmp_path / "clip.mkv", "-pix_fmt", name, "-c:v", codec, "-strict", "-2", size=f"{width}x{height}", frames=2
    )
    with VideoReader(clip) as reader:
        pictures = list(reader)
        info = reader.info
    assert (info.layout, info.bit_depth, info.width, info.height) == (layout, depth, width, height)
    assert len(pictures) == 2
    for plane, shape in zip(pictures[1].planes, layout.plane_shapes(height, width), strict=True):
        assert plane.shape == shape
        assert plane.dtype == (np.uint8 if depth == 8 else np.uint16)
        assert plane.max() < 1 << depth
    if codec == "mjpeg":
        assert info.color.full_range is True
        assert info.color.chroma_siting == 2
    if name == "rgba":
        assert info.notes == ("alpha dropped",)


def test_rgb_planes_are_red_green_blue(tools: Any, tmp_path: Path) -> None:
    clip = tmp_path / "red.mkv"
    tools.ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "color=0xff8000:size=16x16:rate=25",
        "-frames:v",
        1,
        "-pix_fmt",
        "bgr0",
        "-c:v",
        "ffv1",
        clip,
    )
    planes = tools.read(clip)[0].planes
    assert [int(plane.mean()) for plane in planes] == pytest.approx([255, 128, 0], abs=2)
    assert probe(clip).color.matrix == 0


@pytest.mark.parametrize("extension", ["h264", "avi", "ts", "mkv", "flv", "mov"])
def test_every_container_counts_and_stamps(tools: Any, mp4: Path, tmp_path: Path, extension: str) -> None:
    clip = tmp_path / f"clip.{extension}"
    tools.ffmpeg("-i", mp4, "-c", "copy", *(("-bsf:v", "h264_mp4toannexb") if extension == "avi" else ()), clip)
    with VideoReader(clip) as reader:
        stamps = [picture.pts for picture in reader]
        assert reader.info.frames == 10
        assert not reader.damage
    assert len(stamps) == 10
    assert all(a < b for a, b in pairwise(stamps))


@pytest.mark.parametrize("name", ["a:b.mp4", "100%d.mp4", "-x.mp4", "ünï.mp4", "http:x.mp4"])
def test_odd_file_names(mp4: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(mp4.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe(name).frames == 10


def test_variable_frame_rate(tools: Any, tmp_path: Path) -> None:
    clip = tools.clip(tmp_path / "vfr.mkv", "-vf", "select='not(between(n,3,6))'", "-fps_mode", "vfr")
    assert [round(p.pts_seconds * 25) for p in tools.read(clip)] == [0, 1, 2, *range(7, 14)]


def test_an_edit_list_hides_pictures(tools: Any, mp4: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    tools.ffmpeg("-ss", "0.28", "-i", mp4, "-c", "copy", cut)
    with VideoReader(cut) as reader:
        assert reader.info.frames == len(list(reader)) == 3
        assert not reader.damage


def test_start_offsets(tools: Any, mp4: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.mkv"
    tools.ffmpeg("-itsoffset", "3.5", "-i", mp4, "-c", "copy", late)
    assert tools.read(late)[0].pts_seconds == pytest.approx(3.5)


def test_several_streams_and_cover_art(tools: Any, mp4: Path, tmp_path: Path) -> None:
    cover = tools.clip(tmp_path / "cover.png", frames=1, size="32x32")
    other = tools.clip(tmp_path / "other.mp4", size="96x64")
    both = tmp_path / "both.mp4"
    tools.ffmpeg(
        "-i",
        cover,
        "-i",
        mp4,
        "-i",
        other,
        *["-map", "0", "-map", "1", "-map", "2", "-c", "copy", "-disposition:v:0", "attached_pic"],
        both,
    )
    assert [probe(both, stream=stream).width for stream in (0, 1, None)] == [64, 96, 96]  # FFmpeg's best is the second
    with pytest.raises(UnreadableVideo, match="no video stream 2"):
        probe(both, stream=2)
    with pytest.raises(UnreadableVideo):
        probe(both, stream=-1)


def test_cover_art_alone_is_no_video(tools: Any, tmp_path: Path) -> None:
    cover = tools.clip(tmp_path / "cover.png", frames=1, size="32x32")
    song = tmp_path / "song.m4a"
    tools.ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "sine=duration=0.2",
        "-i",
        cover,
        *["-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic"],
        song,
    )
    with pytest.raises(UnreadableVideo, match="no video stream"):
        probe(song)


def test_rotation_aspect_colour_interlacing(tools: Any, tmp_path: Path) -> None:
    plain = tools.clip(
        tmp_path / "plain.mp4",
        *("-vf", "setsar=4/3,setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=pc"),
        *["-flags", "+ilme+ildct", "-x264-params", "interlaced=1", "-pix_fmt", "yuv420p"],
    )
    turned = tmp_path / "turned.mp4"
    tools.ffmpeg("-display_rotation", 90, "-i", plain, "-c", "copy", turned)
    info = probe(turned)
    assert (info.rotation, info.sample_aspect_ratio, info.interlaced) == (90, Fraction(4, 3), True)
    color = info.color
    assert (color.matrix, color.primaries, color.transfer, color.full_range) == (1, 1, 1, True)


def test_a_size_change_is_told(tools: Any, tmp_path: Path) -> None:
    parts = [
        tools.clip(tmp_path / f"{size}.ts", "-pix_fmt", "yuv420p", size=size, frames=4) for size in ("64x48", "96x64")
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with VideoReader(joined) as reader:
        assert len(list(islice(reader, 3))) == 3  # FFmpeg drops the last one, delayed, when the size changes
        with pytest.raises(SizeChanged, match=r"frame 3 is 96x64 yuv420p, those before are 64x48"):
            next(iter(reader))


def test_too_large_pictures_are_refused(tools: Any, tmp_path: Path) -> None:
    huge = tmp_path / "huge.mkv"
    tools.ffmpeg("-f", "lavfi", "-i", "color=black:size=16400x16:rate=25", "-frames:v", 1, "-c:v", "ffv1", huge)
    with pytest.raises(UnreadableVideo, match="16400x16 are too large"):
        probe(huge)


@pytest.mark.parametrize(
    "kind", ["missing", "folder", "empty", "text", "noise", "audio", "no index", "dangling", "device"]
)
def test_bad_inputs_are_one_clear_line(tools: Any, mp4: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.mp4"
    match kind:
        case "folder":
            path.mkdir()
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("not a video\n" * 50)
        case "noise":
            path.write_bytes(np.random.default_rng(0).bytes(200_000))
        case "audio":
            tools.ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", path)
        case "no index":
            path.write_bytes(mp4.read_bytes()[:2000])
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "device":
            path = Path("/dev/zero")
    expected = MissingFile if kind in ("missing", "dangling") else UnreadableVideo
    with pytest.raises(expected) as caught:
        probe(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert line.endswith(")")
    assert "\n" not in line


def test_a_playlist_calls_nobody(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(UnreadableVideo):
        probe(playlist)


def test_ffmpeg_keeps_quiet(mp4: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.mp4"
    data = bytearray(mp4.read_bytes())
    data[600:1500] = bytes(900)
    damaged.write_bytes(data)
    script = (
        "import sys\nfrom irn_video.codecs.reading.reader import VideoReader\n"
        "from irn_video.codecs.errors import IrnError\n"
        "try:\n    list(VideoReader(sys.argv[1]))\nexcept IrnError:\n    pass\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(damaged)], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_hdr_metadata_is_read(tools: Any, tmp_path: Path) -> None:
    clip = tmp_path / "hdr.mkv"
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    params = f"master-display={display}:max-cll=1000,400:log-level=none"
    tools.clip(clip, *f"-pix_fmt yuv420p10le -c:v libx265 -x265-params {params} -color_trc smpte2084".split(), frames=2)
    hdr = probe(clip).hdr
    assert hdr is not None
    assert hdr.mastering is not None
    assert hdr.mastering.red == pytest.approx((0.68, 0.32))
    assert (hdr.mastering.max_luminance, hdr.max_content, hdr.max_average) == (1000, 1000, 400)


def test_lossless_clips_come_back(tools: Any, tmp_path: Path) -> None:
    pictures = tools.draw()
    tools.write(tmp_path / "x.mkv", pictures, EncoderSettings(codec="ffv1"))
    assert tools.same(pictures, tools.read(tmp_path / "x.mkv"))


def test_pictures_are_freed_at_once(tools: Any, tmp_path: Path) -> None:
    """No reference cycle may hold decoded frames until the garbage collector comes by: memory would grow."""
    path = tmp_path / "clip.mp4"
    tools.write(path, tools.draw(12, 64, 64), EncoderSettings())
    with VideoReader(path, quantiser=True) as reader:
        gc.collect()
        gc.disable()
        try:
            assert all(picture.qp is not None for picture in reader)
            assert gc.collect() < 12  # objects in cycles; three a picture when frames are among them
        finally:
            gc.enable()


def test_side_data_that_pyav_does_not_know(tools: Any, tmp_path: Path) -> None:
    plain, path = tools.clip(tmp_path / "plain.mjpeg", frames=3), tmp_path / "exif.mjpeg"
    made_by = b"MM\0*\0\0\0\x08\0\1\1\x0f\0\2\0\0\0\4IRN\0\0\0\0\0"
    exif = b"\xff\xe1" + (8 + len(made_by)).to_bytes(2, "big") + b"Exif\0\0" + made_by
    path.write_bytes(plain.read_bytes().replace(b"\xff\xd8\xff", b"\xff\xd8" + exif + b"\xff"))
    assert tools.same(tools.read(path), tools.read(plain))
