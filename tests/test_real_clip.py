"""The shipped networks on a real clip: figures that must not move, and that must beat ordinary resampling.

`python tests/test_real_clip.py` prints the figures for a new `GOLDEN`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "samples"))

import bdrate
from get_clip import DEFAULT_PATH, get_clip
from rates import RatePoint, rescaled

ROOT = Path(__file__).resolve().parent.parent
FRAMES = 12
CRFS = (18, 26, 34)
# PSNR-Y and PSNR-YUV in dB and kbit/s at each CRF. x264 may differ by a few bytes between processors.
GOLDEN: dict[str, tuple[tuple[float, float, float], ...]] = {
    "irn-h264-x2": ((38.909, 40.476, 1646.4), (35.629, 37.250, 723.6), (31.259, 33.288, 292.1)),
    "lanczos-x2": ((38.314, 40.134, 1577.2), (35.437, 37.152, 707.2), (31.230, 33.229, 289.7)),
}
TOLERANCE_DB, TOLERANCE_RATE = 0.03, 0.01


@pytest.fixture(scope="session")
def clip() -> Path:
    """Big Buck Bunny, fetched once and kept where the demo keeps it."""
    return get_clip(ROOT / DEFAULT_PATH)


def measure(model: str, clip: Path, folder: Path) -> list[RatePoint]:
    return [rescaled(model, clip, crf, folder, FRAMES) for crf in CRFS]


@pytest.mark.slow
def test_figures_stay_and_beat_lanczos(clip: Path, tmp_path: Path) -> None:
    curves = {model: measure(model, clip, tmp_path) for model in GOLDEN}
    for model, points in GOLDEN.items():
        for expected, point in zip(points, curves[model], strict=True):
            assert (point.psnr_y, point.psnr_yuv) == pytest.approx(expected[:2], abs=TOLERANCE_DB), model
            assert point.kbps == pytest.approx(expected[2], rel=TOLERANCE_RATE), model
    saved = bdrate.bd_rate(curves["lanczos-x2"], curves["irn-h264-x2"], "psnr_y")
    assert saved is not None
    assert saved < -1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("irn-h264-x2", "lanczos-x2"):
            points = measure(name, get_clip(ROOT / DEFAULT_PATH), Path(scratch))
            rows = ", ".join(f"({p.psnr_y:.3f}, {p.psnr_yuv:.3f}, {p.kbps:.1f})" for p in points)
            print(f'    "{name}": ({rows}),')
