"""Perceptual metrics of whole files, by FFmpeg: VMAF, VMAF-NEG, SSIM and MS-SSIM from libvmaf, and XPSNR.

Names, since definitions differ: `vmaf` and `vmaf_neg` are Netflix's models v0.6.1 and v0.6.1neg; `ssim` and `ms_ssim`
libvmaf's float_ssim and float_ms_ssim of luma; `xpsnr_y` that of FFmpeg's xpsnr filter, in dB.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from irn_video.codecs.errors import BadOption, SourceMismatch
from irn_video.codecs.reading.choosing import choose_stream
from irn_video.codecs.reading.opening import open_input
from irn_video.codecs.reading.reader import probe
from irn_video.pipeline.system import ffmpeg_binary
from irn_video.pipeline.system.cores import usable_cores

if TYPE_CHECKING:
    import ffmpeg

PERCEPTUAL = ("vmaf", "vmaf_neg", "ssim", "ms_ssim", "xpsnr_y")
_MODELS = {"vmaf": "version=vmaf_v0.6.1:name=vmaf", "vmaf_neg": "version=vmaf_v0.6.1neg:name=vmaf_neg"}
_FEATURES = {"ssim": "float_ssim", "ms_ssim": "float_ms_ssim", "psnr_y": "psnr"}
_NAMES = {"vmaf": "vmaf", "vmaf_neg": "vmaf_neg", "float_ssim": "ssim", "float_ms_ssim": "ms_ssim", "psnr_y": "psnr_y"}
LEAST_SIDE = 17
"""Width and height that frames need; FFmpeg crashes on smaller ones."""
_MS_SSIM_SIDE = 176  # its five scales need as much
_XPSNR = re.compile(r"XPSNR y:\s*(\S+)")

Scores = dict[str, float | None]


def measure_files(restored: Path, source: Path, folder: Path, wanted: Collection[str] = PERCEPTUAL) -> list[Scores]:
    """Scores of each picture of `restored` against the first pictures of `source`, by name; None where undefined.

    Besides those that are `wanted` there is `psnr_y` as libvmaf has it, by which callers can check that pictures meet
    their own. FFmpeg's logs are in `folder` for a moment.

    Raises:
        UnreadableVideo: FFmpeg gives up; says why.
        BadOption: the pictures are too small.
        SourceMismatch: the source has fewer pictures.
    """
    import ffmpeg

    info = probe(restored)
    if min(info.width, info.height) < LEAST_SIDE:
        what = f"libvmaf cannot measure frames of {info.width}x{info.height}"
        raise BadOption(what, hint=f"each side has to be {LEAST_SIDE} or more")
    pixels = "yuv420p" if info.bit_depth == 8 else f"yuv420p{info.bit_depth}le"
    small = min(info.width, info.height) < _MS_SSIM_SIDE
    features = [name for metric, name in _FEATURES.items() if metric in (*wanted, "psnr_y")]
    log, stats = folder / "vmaf.json", folder / "xpsnr.txt"
    options = {
        # Without a model libvmaf would take its default one.
        "model": "|".join(model for metric, model in _MODELS.items() if metric in wanted) or _MODELS["vmaf"],
        "feature": "|".join(f"name={name}" for name in features if not (small and name == _FEATURES["ms_ssim"])),
        "log_fmt": "json",
        "log_path": str(log),
        "shortest": 1,
        "n_threads": usable_cores(),
    }
    left, right = _pictures(restored, pixels), _pictures(source, pixels)
    if "xpsnr_y" in wanted:
        twice = right.filter_multi_output("split")
        left, right = ffmpeg.filter([left, twice[0]], "xpsnr", stats_file=str(stats), shortest=1), twice[1]
    compared = ffmpeg.output(ffmpeg.filter([left, right], "libvmaf", **options), "-", format="null")
    ffmpeg_binary.run(compared, "VMAF cannot be measured", restored)
    entries = [frame["metrics"] for frame in json.loads(log.read_text())["frames"]]
    if info.frames is not None and len(entries) < info.frames:
        raise SourceMismatch(f"only {len(entries)} of {info.frames} frames have a source", path=restored)
    scores = [{ours: float(entry[name]) for name, ours in _NAMES.items() if name in entry} for entry in entries]
    log.unlink()
    return [
        {**dict.fromkeys(wanted), **score, **xpsnr}
        for score, xpsnr in zip(scores, _xpsnr(stats) if "xpsnr_y" in wanted else [{}] * len(scores), strict=False)
    ]


def _xpsnr(stats: Path) -> list[Scores]:
    found = [{"xpsnr_y": _number(value)} for value in _XPSNR.findall(stats.read_text())]
    stats.unlink()
    return list(found)


def _pictures(path: Path, pixels: str) -> ffmpeg.nodes.FilterableStream:
    # Pictures are matched by their order: containers round timestamps differently.
    with open_input(path) as container:
        index = choose_stream(container, path).index
    return ffmpeg_binary.read(path)[f"V:{index}"].filter("settb", "AVTB").filter("setpts", "N").filter("format", pixels)


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
