"""Perceptual metrics of whole files, by FFmpeg: VMAF, VMAF-NEG, SSIM and MS-SSIM from libvmaf, and XPSNR.

Names, since definitions differ: `vmaf` and `vmaf_neg` are Netflix's models v0.6.1 and v0.6.1neg; `ssim` and `ms_ssim`
libvmaf's float_ssim and float_ms_ssim of luma; `xpsnr_y` that of FFmpeg's xpsnr filter, in dB.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import ffmpeg
from irn_video.codecs.errors import SourceMismatch
from irn_video.codecs.reader import probe
from irn_video.pipeline import ffmpeg_binary
from irn_video.pipeline.cores import usable_cores

PERCEPTUAL = ("vmaf", "vmaf_neg", "ssim", "ms_ssim", "xpsnr_y")
_MODELS = "version=vmaf_v0.6.1:name=vmaf|version=vmaf_v0.6.1neg:name=vmaf_neg"
_NAMES = {"vmaf": "vmaf", "vmaf_neg": "vmaf_neg", "float_ssim": "ssim", "float_ms_ssim": "ms_ssim", "psnr_y": "psnr_y"}
_MS_SSIM_SIDE = 176  # its five scales need as much
_XPSNR = re.compile(r"XPSNR y:\s*(\S+)")

Scores = dict[str, float | None]


def measure_files(restored: Path, source: Path, folder: Path) -> list[Scores]:
    """Scores of each picture of `restored` against the first pictures of `source`, by name; None where undefined.

    Besides `PERCEPTUAL` there is `psnr_y` as libvmaf has it, by which callers can check that pictures meet their own.
    FFmpeg's logs are in `folder` for a moment.

    Raises:
        UnreadableVideo: FFmpeg gives up; says why.
        SourceMismatch: the source has fewer pictures.
    """
    info = probe(restored)
    pixels = "yuv420p" if info.bit_depth == 8 else f"yuv420p{info.bit_depth}le"
    names = ["psnr", "float_ssim", *(["float_ms_ssim"] if min(info.width, info.height) >= _MS_SSIM_SIDE else [])]
    log, stats = folder / "vmaf.json", folder / "xpsnr.txt"
    left, right = _pictures(restored, pixels), _pictures(source, pixels).filter_multi_output("split")
    left = ffmpeg.filter([left, right[0]], "xpsnr", stats_file=str(stats), shortest=1)
    features = "|".join(f"name={name}" for name in names)
    options = {"model": _MODELS, "feature": features, "log_fmt": "json", "log_path": str(log), "shortest": 1}
    options["n_threads"] = usable_cores()
    compared = ffmpeg.output(ffmpeg.filter([left, right[1]], "libvmaf", **options), "-", format="null")
    ffmpeg_binary.run(compared, "VMAF cannot be measured", restored)
    entries = [frame["metrics"] for frame in json.loads(log.read_text())["frames"]]
    perceptual = [_number(value) for value in _XPSNR.findall(stats.read_text())]
    log.unlink()
    stats.unlink()
    if info.frames is not None and len(entries) < info.frames:
        raise SourceMismatch(f"only {len(entries)} of {info.frames} pictures have a source", path=restored)
    return [
        {"ms_ssim": None, **{ours: float(entry[name]) for name, ours in _NAMES.items() if name in entry}, "xpsnr_y": x}
        for entry, x in zip(entries, perceptual, strict=False)
    ]


def _pictures(path: Path, pixels: str) -> ffmpeg.nodes.FilterableStream:
    # Pictures are matched by their order: containers round timestamps differently.
    return ffmpeg_binary.read(path)["v:0"].filter("settb", "AVTB").filter("setpts", "N").filter("format", pixels)


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
