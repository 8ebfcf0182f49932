"""Names of metrics: typed, shown, stored."""

from __future__ import annotations

import subprocess
import sys

import pytest
from irn_video.codecs.errors import BadOption
from irn_video.pipeline.quality.libvmaf import PERCEPTUAL
from irn_video.pipeline.quality.metrics import (
    CLASSIFIER,
    METRICS,
    STUDY_METRICS,
    TEXTURE_METRICS,
    metric_label,
    metric_option,
    parse_metrics,
)
from irn_video.pipeline.quality.psnr import PictureError


def test_names_are_those_that_are_measured() -> None:
    measured = {*PictureError(0.1, 0.1, 0.1, 0.1).psnr(), *PERCEPTUAL}
    assert measured == set(METRICS)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("vmaf-neg", ("vmaf_neg",)),
        ("vmaf_neg, PSNR-Y,vmaf-neg", ("vmaf_neg", "psnr_y")),
        ("xpsnr", ("xpsnr_y",)),
        ("xpsnr-y", ("xpsnr_y",)),
        ("psnr,ms-ssim", ("psnr_y", "psnr_u", "psnr_v", "psnr_yuv", "psnr_rgb", "ms_ssim")),
    ],
)
def test_both_spellings_are_understood(typed: str, names: tuple[str, ...]) -> None:
    assert parse_metrics(typed) == names


@pytest.mark.parametrize("typed", ["", "vmaff", "psnr-y,,ssim", "psnr-y ssim"])
def test_others_are_refused(typed: str) -> None:
    with pytest.raises(BadOption, match=r"no metric .*known: psnr-y, .*, ms-ssim, vmaf, vmaf-neg, xpsnr\)$"):
        parse_metrics(typed)


def test_studies_know_more() -> None:
    """Of all frames together; the classifier is not among `all`."""
    known = (*STUDY_METRICS, CLASSIFIER)
    assert parse_metrics("texture,flicker", known) == (*TEXTURE_METRICS, "flicker")
    assert parse_metrics("all", known) == STUDY_METRICS
    assert parse_metrics("all,classifier", known) == known
    assert parse_metrics("all") == METRICS
    with pytest.raises(BadOption, match="no metric 'texture'"):
        parse_metrics("texture")
    assert metric_label(CLASSIFIER, unit=True) == "CLASSIFIER, %"


def test_only_what_is_known_here() -> None:
    assert parse_metrics("psnr", ("psnr_y", "vmaf")) == ("psnr_y",)
    for word in ("psnr", "ssim"):
        with pytest.raises(BadOption, match=rf"no metric '{word}' \(known: vmaf, vmaf-neg\)"):
            parse_metrics(word, ("vmaf", "vmaf_neg"))


def test_what_is_typed_is_parsed_again() -> None:
    assert parse_metrics(",".join(map(metric_option, METRICS))) == METRICS
    assert metric_option("xpsnr_y") == "xpsnr"


def test_labels() -> None:
    assert [metric_label(name) for name in ("psnr_yuv", "ms_ssim", "vmaf_neg")] == ["PSNR-YUV", "MS-SSIM", "VMAF-NEG"]
    assert (metric_label("psnr_y", unit=True), metric_label("vmaf", unit=True)) == ("PSNR-Y, dB", "VMAF")


def test_they_do_not_wait_for_torch() -> None:
    code = "import sys, irn_video.pipeline.quality.metrics; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
