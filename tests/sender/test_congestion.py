"""How a live sender answers reports and commands."""

from __future__ import annotations

import itertools

import pytest
from irn_video.codecs.errors import BadOption
from irn_video.codecs.links.link_report import LinkReport
from irn_video.sender.commands import apply
from irn_video.sender.congestion import FLOOR, CongestionControl, suitable_scale
from irn_video.sender.live import LiveControl

_clock = itertools.count()  # half seconds


def run(
    congestion: CongestionControl, seconds: float, *, loss: float = 0.0, queue: int = 0, passed: float | None = None
) -> int:
    """Reports of a link that behaves so, two a second, with `passed` bit/s at most."""
    received = lost = carried = 0
    for _ in range(round(2 * seconds)):
        arriving = min(congestion.bitrate, passed or congestion.bitrate) / 2
        received, lost = received + round(1000 * (1 - loss)), lost + round(1000 * loss)
        carried += round(arriving / 8)
        congestion.heard(LinkReport(1, received, lost, carried, queue), next(_clock) / 2)
    return congestion.bitrate


def test_a_good_link_changes_nothing() -> None:
    assert run(CongestionControl(800_000), 10) == 800_000


def test_a_little_loss_changes_nothing() -> None:
    assert run(CongestionControl(800_000), 10, loss=0.015) == 800_000


def test_some_loss_holds_the_rate() -> None:
    congestion = CongestionControl(800_000)
    run(congestion, 3, loss=0.5)
    held = congestion.bitrate
    assert held < 800_000
    assert run(congestion, 6, loss=0.05) == pytest.approx(held, rel=0.5)
    assert run(CongestionControl(800_000), 6, loss=0.05) == 800_000


def test_much_loss_lowers_it_down_to_the_floor() -> None:
    once = run(CongestionControl(800_000), 1, loss=0.2)
    assert once == pytest.approx(800_000 * 0.9, rel=0.01)
    assert run(CongestionControl(800_000), 120, loss=0.5) == FLOOR


def test_a_queue_takes_it_below_what_passes() -> None:
    assert run(CongestionControl(800_000), 1, queue=300, passed=400_000) == pytest.approx(0.85 * 400_000, rel=0.01)


def test_it_climbs_again() -> None:
    congestion = CongestionControl(800_000)
    run(congestion, 5, loss=0.5)
    low = congestion.bitrate
    assert low < run(congestion, 3) < 800_000
    assert run(congestion, 60) == 800_000


def test_another_receiver_begins_anew() -> None:
    congestion = CongestionControl(800_000)
    congestion.heard(LinkReport(1, 5000, 0, 100_000, 0), 1)
    congestion.heard(LinkReport(1, 10, 5, 1000, 0), 2)  # counts that have fallen: not 50 % loss, another receiver
    assert congestion.bitrate == 800_000


def test_another_wish_holds_at_once() -> None:
    congestion = CongestionControl(800_000)
    run(congestion, 5, loss=0.5)
    congestion.limit(300_000)
    assert congestion.bitrate == 300_000


def test_the_scale_has_inertia() -> None:
    assert [suitable_scale(bits, None) for bits in (0.005, 0.02)] == [4, 2]
    assert [suitable_scale(bits, 2) for bits in (0.005, 0.0085, 0.02)] == [4, 2, 2]
    assert [suitable_scale(bits, 4) for bits in (0.005, 0.0085, 0.02)] == [4, 4, 2]
    assert suitable_scale(0.005, 1) == 1
    assert [suitable_scale(bits, scale) for bits in (0.005, 0.02, 0.03) for scale in (None, 1.5, 2, 4)] == [
        *(4, 4, 4, 4),
        *(2, 1.5, 2, 2),
        *(1.5, 1.5, 1.5, 1.5),
    ]


def test_commands() -> None:
    control = LiveControl()
    for line in ("bitrate 400k", "scale 4", "congestion off\n"):
        apply(line, control)
    assert (control.options.bitrate, control.options.model, control.options.congestion) == (
        400_000,
        "irn-h264-x4",
        False,
    )
    apply("scale auto", control)
    assert control.options.model is None
    apply("model irn-h264-x2-base", control)
    assert control.options.model == "irn-h264-x2-base"


@pytest.mark.parametrize(
    "line", ["bitrate", "bitrate much", "bitrate 5", "scale 3", "congestion maybe", "stop it", "model a b"]
)
def test_what_is_no_command(line: str) -> None:
    with pytest.raises(BadOption):
        apply(line, LiveControl())
