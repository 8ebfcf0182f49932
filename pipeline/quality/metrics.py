"""Names of metrics: one spelling for JSON and code, one to type, one for people.

A metric's name, such as `vmaf_neg`, is its key in JSON and CSV. It is typed as `vmaf-neg` (`vmaf_neg` is understood
too) and shown as `VMAF-NEG`. This module must not import PyTorch, so that `--help` is quick.
"""

from __future__ import annotations

from collections.abc import Sequence

from irn_video.codecs.errors import BadOption

PSNR_METRICS = ("psnr_y", "psnr_u", "psnr_v", "psnr_yuv", "psnr_rgb")
"""In dB, per plane and together; `psnr` is typed for all of them."""
METRICS = (*PSNR_METRICS, "ssim", "ms_ssim", "vmaf", "vmaf_neg", "xpsnr_y")
"""Every metric of a frame; more is better."""
TEXTURE_METRICS = ("texture_fine", "texture_coarse", "flat_fine", "edge_fine")
"""Of a video as a whole, of the source's own; `texture` is typed for all of them."""
REAL_METRICS = (*TEXTURE_METRICS, "flicker", "flicker_static")
"""Of a video as a whole, of the source's own: 1 is the best."""
CLASSIFIER = "classifier"
"""Of a video as a whole, in per cent: takes minutes, so it is measured where it is named."""
STUDY_METRICS = (*METRICS, *REAL_METRICS)
"""What a study measures unless told otherwise; `all` is typed for them."""

_GROUPS = {"psnr": PSNR_METRICS, "texture": TEXTURE_METRICS, "all": STUDY_METRICS}
_SHORT = {"xpsnr": "xpsnr_y"}
_UNITS = {**dict.fromkeys((*PSNR_METRICS, "xpsnr_y"), "dB"), CLASSIFIER: "%"}


def parse_metrics(text: str, known: Sequence[str] = METRICS) -> tuple[str, ...]:
    """Names in what is typed, each once, in the order typed: `psnr-y,VMAF_NEG` → `("psnr_y", "vmaf_neg")`.

    Args:
        text: names with commas between them; `psnr`, `texture` and `all` stand for those of them that are known.
        known: names that may be asked for here.

    Raises:
        BadOption: a name that is not known, or none at all; the known ones are named.
    """
    found = [name for word in text.split(",") for name in _named(word, known)]
    return tuple(dict.fromkeys(found))


def metric_option(name: str) -> str:
    """What is typed for a metric: `vmaf_neg` → `vmaf-neg`."""
    short = {long: short for short, long in _SHORT.items()}
    return short.get(name, name).replace("_", "-")


def metric_label(name: str, *, unit: bool = False) -> str:
    """What people read: `vmaf_neg` → `VMAF-NEG`; with its unit, where it has one, `PSNR-Y, dB`."""
    return metric_option(name).upper() + (f", {_UNITS[name]}" if unit and name in _UNITS else "")


def _named(word: str, known: Sequence[str]) -> list[str]:
    plain = word.strip().lower().replace("-", "_")
    if every := [name for name in known if name in _GROUPS.get(plain, ())]:
        return every
    name = _SHORT.get(plain, plain)
    if name not in known:
        raise BadOption(f"no metric {word.strip()!r}", hint="known: " + ", ".join(map(metric_option, known)))
    return [name]
