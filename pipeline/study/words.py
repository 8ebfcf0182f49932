"""The commands that do what a study measured."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from irn_video.pipeline.study.cells import receive_options
from irn_video.pipeline.study.methods import FULL, Method
from irn_video.pipeline.study.plan import BY_SCALE

_FLAGS = ("codec", "preset", "tune", "keyint", "pixel_format")
_LIBRARIES = {"h264": "libx264", "h265": "libx265", "av1": "libsvtav1"}


def send_command(
    method: Method,
    clip: str,
    settings: Mapping[str, Any],
    crf: float | None,
    bitrate: int | None = None,
    output: str = "lr.mkv",
) -> str:
    """irn-send, or FFmpeg for full size.

    Args:
        method: how.
        clip: the source.
        settings: fields of `EncoderSettings`, what is None or missing is the program's own, as presets by scale are;
            and `frames`, if few.
        crf, bitrate: of the stream, one of them.
        output: the stream.
    """

    def few(flag: str) -> list[str]:
        return [flag, str(settings["frames"])] if isinstance(settings.get("frames"), int) else []

    rate = ("-crf", f"{crf:g}") if bitrate is None else ("-b:v", str(bitrate))
    given = {name: value for name in _FLAGS if (value := settings.get(name)) not in (None, BY_SCALE)}
    if method.sender == FULL:
        codec = given.pop("codec", "h264")
        names = {"preset": "-preset", "tune": "-tune", "keyint": "-g", "pixel_format": "-pix_fmt"}
        words = ["ffmpeg", "-i", clip, "-map", "0:v:0", *few("-frames:v"), "-c:v", _LIBRARIES.get(codec, codec)]
        return shlex.join([*words, *_flags(given, names), *rate, output])
    if given.get("codec") == "h264":
        del given["codec"]
    names = {name: "--" + name for name in _FLAGS} | {"pixel_format": "--pix-fmt"}
    rate = ("--crf", f"{crf:g}") if bitrate is None else ("--bitrate", str(bitrate))
    adapt = ["--adapt", method.adapt] if method.adapt else []
    words = ["irn-send", clip, output, "--model", method.sender, *adapt]
    return shlex.join([*words, *rate, *_flags(given, names), *few("--frames")])


def receive_command(method: Method, clip: str, stream: str = "lr.mkv", output: str = "restored.mkv") -> str:
    """irn-receive without a second loss, measuring; full size needs none."""
    options = receive_options(method)
    words = ["irn-receive", stream, output, "--source", clip, "--codec", "ffv1"]
    if options.upscaler != "model":
        words += ["--upscaler", options.upscaler]
    for name, path in (("--weights", options.weights), ("--model", options.model)):
        words += [name, str(path)] if path else []
    return shlex.join(words)


def measure_command(clip: str, restored: str) -> str:
    """FFmpeg's VMAF, pictures matched by their order."""
    sides = "[0:v]settb=AVTB,setpts=N[a];[1:v]settb=AVTB,setpts=N[b]"
    graph = f"{sides};[a][b]libvmaf=model='version=vmaf_v0.6.1':shortest=1:log_fmt=json:log_path=vmaf.json"
    return shlex.join(["ffmpeg", "-i", restored, "-i", clip, "-lavfi", graph, "-f", "null", "-"])


def _flags(given: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    return [word for name, value in given.items() for word in (names[name], str(value))]
