"""The arithmetic of a search, and the search itself with made-up answers."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption, GoalUnreachable
from irn_video.codecs.writing.writer import WriteSummary
from irn_video.sender import SendOptions
from irn_video.sender.search.bracket import LEAST_CRF, Bracket, Point
from irn_video.sender.search.checking import check_size_kept, corrected
from irn_video.sender.search.choosing import FULL, Chosen, goal_of
from irn_video.sender.search.climbing import climb, quick
from irn_video.sender.search.goal import Goal, parse_size
from irn_video.sender.search.search import Way, search
from irn_video.sender.search.trial import Trial

QUALITY = Bracket(38.5, "psnr_y", by_rate=False, near=7, reach=1.5)


@dataclass(frozen=True)
class Curve:
    """kbit/s and PSNR-Y at CRF 0 of a made-up way; the rate halves every so many CRF, the quality falls by `slope`."""

    kbps: float
    quality: float
    slope: float = 0.5
    halving: float = 6.0

    def at(self, crf: float) -> Point:
        return Point(crf, self.kbps * 2 ** (-crf / self.halving), self.quality - self.slope * crf)


curves = st.builds(
    Curve,
    kbps=st.floats(300, 30_000),
    quality=st.floats(35, 60),
    slope=st.floats(0.2, 1.2),
    halving=st.floats(4, 9),
)


def measured(bracket: Bracket, curve: Curve, first: float) -> list[Point]:
    """What is measured until the bracket asks for nothing more."""
    points: list[Point] = []
    while (crf := bracket.next_crf(points, first)) is not None:
        assert crf == round(crf)
        assert LEAST_CRF <= crf <= bracket.largest_crf
        assert crf not in [point.crf for point in points]
        points = sorted([*points, curve.at(crf)], key=lambda point: point.crf)
    return points


class TestBracket:
    @given(curve=curves, crf=st.floats(LEAST_CRF, 51), first=st.floats(0, 70), by_rate=st.booleans())
    def test_every_crf_is_found(self, curve: Curve, crf: float, first: float, by_rate: bool) -> None:
        truth = curve.at(crf)
        bracket = Bracket(truth.kbps if by_rate else truth.quality, "psnr_y", by_rate, near=7)
        points = measured(bracket, curve, first)
        assert len(points) <= 7
        found = bracket.reached(points)
        if found is None:  # exactly at an end
            found = bracket.at_end(points)
        assert found is not None
        assert (found.crf, found.quality) == pytest.approx((truth.crf, truth.quality), abs=1e-6)
        assert found.kbps == pytest.approx(truth.kbps)

    @given(curve=curves, beyond=st.floats(0.5, 20), first=st.floats(0, 70), by_rate=st.booleans())
    def test_more_than_there_is(self, curve: Curve, beyond: float, first: float, by_rate: bool) -> None:
        best = curve.at(LEAST_CRF)
        bracket = Bracket(best.kbps + beyond if by_rate else best.quality + beyond, "psnr_y", by_rate)
        points = measured(bracket, curve, first)
        assert len(points) <= 7
        assert bracket.reached(points) is None
        assert bracket.at_end(points) == (points[0] if by_rate else None)

    @given(curve=curves, beyond=st.floats(0.5, 20), first=st.floats(0, 70))
    def test_worse_than_the_codec_can_be(self, curve: Curve, beyond: float, first: float) -> None:
        """The least that can be sent is better than what is wanted, so it will do; but a rate is not reached."""
        worst = curve.at(51)
        bracket = Bracket(worst.quality - beyond, "psnr_y", by_rate=False)
        points = measured(bracket, curve, first)
        assert (bracket.reached(points), bracket.at_end(points)) == (None, worst)
        bracket = Bracket(worst.kbps / (1 + beyond), "psnr_y", by_rate=True)
        points = measured(bracket, curve, first)
        assert (bracket.reached(points), bracket.at_end(points)) == (None, None)

    def test_between_near_points(self) -> None:
        points = [Point(20, 100, 40), Point(26, 50, 37)]
        assert QUALITY.next_crf(points, 26) is None
        assert QUALITY.reached(points) == Point(23, pytest.approx(math.sqrt(5000)), 38.5)

    def test_far_points_are_halved(self) -> None:
        assert QUALITY.next_crf([Point(20, 100, 40), Point(36, 50, 37)], 26) == 28

    def test_a_little_beyond_a_point(self) -> None:
        points = [Point(26, 50, 38)]
        assert QUALITY.next_crf(points, 26) is None
        assert QUALITY.reached(points) == Point(25, pytest.approx(50 * 2 ** (1 / 6)), 38.5)

    def test_too_far_beyond(self) -> None:
        points = [Point(26, 50, 37)]
        assert QUALITY.next_crf(points, 26) == 21
        assert QUALITY.reached(points) is None
        assert QUALITY.reached(points, 14) == Point(23, pytest.approx(50 * 2**0.5), 38.5)

    def test_curves_that_flatten_are_left_soon(self) -> None:
        """Two points of nearly the same quality would send the search to infinity."""
        points = [Point(4, 900, 38.0), Point(10, 700, 37.999)]
        assert QUALITY.next_crf(points, 26) is None
        assert QUALITY.next_crf([Point(10, 700, 38.0), Point(16, 600, 37.999)], 26) == 4

    def test_no_crf_beyond_the_codecs(self) -> None:
        found = Bracket(30.0, "psnr_y", by_rate=False, reach=1.5).reached([Point(51, 20, 30.5)])
        assert found is not None
        assert found.crf == 51


@dataclass(frozen=True)
class Made:
    """A way of sending."""

    name: str
    scale: float
    curve: Curve


@dataclass
class MadeTrials:
    """Trials that know the answers."""

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    made: dict[tuple[str, float], Trial] = field(default_factory=dict)
    sent: dict[tuple[str, float], float] = field(default_factory=dict)
    sample: Any = field(default_factory=lambda: SimpleNamespace(info=SimpleNamespace(path=Path("clip.mp4"))))

    def of(self, way: Made) -> list[Trial]:
        return sorted((t for (name, _), t in self.made.items() if name == way.name), key=lambda trial: trial.crf)

    def measure(self, way: Made, crf: float, sent_by: Made | None = None) -> Trial:
        sender = way if sent_by is None else sent_by
        kbps, quality = sender.curve.at(crf).kbps, way.curve.at(crf).quality
        return self.made.setdefault((way.name, crf), Trial(crf, kbps, {"psnr_y": quality}, 25.0))

    def rate(self, way: Made, crf: float) -> float:
        return self.sent.setdefault((way.name, crf), way.curve.at(crf).kbps)

    @property
    def counts(self) -> Counter[str]:
        return Counter(name for name, _ in self.made)


PLAIN = Made(FULL, 1, Curve(8000, 50, 0.5))
HALF = Made("x2", 2, Curve(2000, 40, 0.3))
QUARTER = Made("x4", 4, Curve(500, 33, 0.2))


def searched(goal: Goal, *ways: Made) -> tuple[list[Way], MadeTrials]:
    trials = MadeTrials()
    return (climb if goal.by_rate else search)(trials, ways, goal), trials  # type: ignore[arg-type]


class TestSearch:
    def test_the_cheapest_for_a_quality(self) -> None:
        found, trials = searched(Goal(31, "psnr_y"), PLAIN, HALF, QUARTER)
        assert [way.model for way in found] == ["x2", FULL]
        assert found[0].point.crf == pytest.approx(30, abs=1)
        assert found[0].point.kbps == pytest.approx(2000 / 32, rel=0.12)
        assert found[1].point.kbps == pytest.approx(8000 * 2 ** (-38 / 6), rel=0.12)
        assert sum(trials.counts.values()) <= 9

    def test_the_last_word_is_said_near_the_crf_that_is_taken(self) -> None:
        found, trials = searched(Goal(PLAIN.curve.at(22.5).quality, "psnr_y"), PLAIN)
        assert found[0].point.crf == pytest.approx(22.5)
        assert [trial.crf for trial in trials.of(PLAIN)] == [20, 22.5, 26]

    def test_the_best_at_a_rate(self) -> None:
        found, _ = searched(Goal(250, "psnr_y", by_rate=True), QUARTER, PLAIN, HALF)
        assert [way.model for way in found][:2] == [FULL, "x2"]
        assert [way.point.quality for way in found][:2] == pytest.approx([35, 34.6], abs=0.1)
        assert [way.point.kbps for way in found] == pytest.approx([250] * len(found))

    def test_hopeless_ways_are_given_up(self) -> None:
        """One trial near the goal says that it takes ten times the bits."""
        bad = Made("bad", 2, replace(HALF.curve, kbps=HALF.curve.kbps * 10))
        found, trials = searched(Goal(31, "psnr_y"), PLAIN, HALF, bad)
        assert [way.model for way in found] == ["x2", FULL]
        assert trials.counts["bad"] == 1

    @pytest.mark.parametrize("gain", [1.0, 0.5])
    def test_a_network_at_full_size_where_it_can_win(self, gain: float) -> None:
        """Not where another scale is far ahead of plain coding."""
        half = Made("x2", 2, replace(HALF.curve, kbps=HALF.curve.kbps * gain))
        full_network = Made("x1", 1, replace(PLAIN.curve, kbps=PLAIN.curve.kbps * 0.9))
        _, trials = searched(Goal(31, "psnr_y"), PLAIN, half, full_network)
        plain, other = PLAIN.curve.at(38).kbps, half.curve.at(30).kbps
        assert bool(trials.counts["x1"]) == (other > plain / 1.08)

    @pytest.mark.parametrize("saving", [0.01, 0.03])
    def test_a_network_has_to_save_something(self, saving: float) -> None:
        """Plain coding is no work for the receiver."""
        network = Made("x1", 1, replace(PLAIN.curve, kbps=PLAIN.curve.kbps * (1 - saving)))
        found, _ = searched(Goal(31, "psnr_y"), PLAIN, network)
        assert found[0].model == (FULL if saving < 0.02 else "x1")

    @pytest.mark.parametrize("quality", [28.5, 34.0])
    def test_scale_4_is_for_low_rates(self, quality: float) -> None:
        """Where scale 2 would have a high CRF."""
        quarter = Made("x4", 4, Curve(500, 37, 0.2))
        _, trials = searched(Goal(quality, "psnr_y"), PLAIN, HALF, quarter)
        assert bool(trials.counts["x4"]) == ((40 - quality) / 0.3 >= 29)

    @pytest.mark.parametrize("quality", [28.5, 31.0, 34.0])
    def test_three_halves_are_for_where_scale_2_is_not_far_ahead(self, quality: float) -> None:
        between = Made("x1.5", 1.5, Curve(3800, 45, 0.4))
        at = HALF.curve.at((40 - quality) / 0.3)
        plain = PLAIN.curve.at((50 - quality) / 0.5)
        found, trials = searched(Goal(quality, "psnr_y"), PLAIN, HALF, between)
        near = at.kbps > 0.7 * plain.kbps
        assert bool(trials.counts["x1.5"]) == near == (quality == 34.0)
        assert (found[0].model == "x1.5") == near

    def test_what_no_way_reaches(self) -> None:
        with pytest.raises(GoalUnreachable, match=r"clip.mp4: PSNR-Y 60.00 cannot be reached") as caught:
            searched(Goal(60, "psnr_y"), PLAIN, HALF)
        assert "samples gave PSNR-Y 32.2 to 48.0 at 99 to 5040 kb/s" in str(caught.value)

    def test_what_every_way_exceeds(self) -> None:
        """A black clip is as good as it gets at any CRF: the least is sent."""
        black = Made(FULL, 1, Curve(20, 70, 0.01, halving=100))
        found, _ = searched(Goal(40, "psnr_y"), black, Made("x2", 2, replace(black.curve, kbps=18)))
        assert [(way.model, way.point.crf) for way in found] == [("x2", 51), (FULL, 51)]

    def test_a_rate_that_nobody_can_spend(self) -> None:
        found, _ = searched(Goal(100_000, "psnr_y", by_rate=True), PLAIN)
        assert found[0].point == PLAIN.curve.at(LEAST_CRF)


BETWEEN = Made("x1.5", 1.5, Curve(3800, 44.7, 0.4))
NETWORK = Made("x1", 1, replace(PLAIN.curve, quality=50.3))
LADDER = (PLAIN, NETWORK, BETWEEN, HALF, replace(QUARTER, curve=replace(QUARTER.curve, quality=34)))


def at_rate(way: Made, kbps: float) -> float:
    """The quality that a made-up way has at a rate."""
    return way.curve.at(way.curve.halving * math.log2(way.curve.kbps / kbps)).quality


class TestAtARate:
    @given(kbps=st.floats(8, 1200), offsets=st.lists(st.floats(-2, 2), min_size=5, max_size=5))
    def test_the_best_of_a_ladder(self, kbps: float, offsets: list[float]) -> None:
        """Whatever its curves, as long as there is one peak; by one measured trial of each way that is tried."""
        ways = [
            replace(way, curve=replace(way.curve, quality=way.curve.quality + offset))
            for way, offset in zip(LADDER, offsets, strict=True)
        ]
        plain, *networks = ways
        assume(at_rate(plain, kbps) < at_rate(networks[0], kbps))
        by_scale = [at_rate(way, kbps) for way in networks]
        peak = by_scale.index(max(by_scale))
        assume(by_scale[: peak + 1] == sorted(by_scale[: peak + 1]))
        assume(by_scale[peak:] == sorted(by_scale[peak:], reverse=True))
        assume(kbps > HALF.curve.at(45).kbps and (peak < 3 or kbps < HALF.curve.at(30).kbps))
        found, trials = searched(Goal(kbps, "psnr_y", by_rate=True), *ways)
        best = max(at_rate(plain, kbps), *by_scale)
        chosen = next(way for way in ways if way.name == found[0].model)
        assert at_rate(chosen, kbps) > best - 0.6
        assert max(trials.counts.values()) == 1
        assert [way.point.quality for way in found] == pytest.approx(
            [at_rate(next(made for made in ways if made.name == way.model), kbps) for way in found], abs=0.15
        )

    @pytest.mark.parametrize(
        ("kbps", "chosen", "tried"),
        [
            (20, "x4", ["x2", "x1.5", "x4"]),
            (78, "x2", ["x2", "x1.5"]),
            (170, "x1.5", ["x2", "x1.5", "x1"]),
            (1000, "x1", ["x2", "x1.5", "x1", FULL]),
        ],
    )
    def test_what_is_worse_ends_the_climb(self, kbps: float, chosen: str, tried: list[str]) -> None:
        """Scales beyond are not tried, nor is plain coding where its network is behind."""
        found, trials = searched(Goal(kbps, "psnr_y", by_rate=True), *LADDER)
        assert found[0].model == chosen
        assert [name for name, _ in trials.made] == tried
        assert {way.model for way in found} == set(tried)

    def test_a_dip_between_two_peaks(self) -> None:
        """At rates where scale 2 has a low CRF full size is tried even where 3/2 is worse than both."""
        dip = replace(BETWEEN, curve=replace(BETWEEN.curve, quality=40))
        found, trials = searched(Goal(1000, "psnr_y", by_rate=True), PLAIN, NETWORK, dip, HALF)
        assert [name for name, _ in trials.made] == ["x2", "x1.5", "x1", FULL]
        assert found[0].model == "x1"

    def test_one_stream_serves_both_at_full_size(self) -> None:
        _, trials = searched(Goal(1000, "psnr_y", by_rate=True), *LADDER)
        assert trials.counts[FULL] == trials.counts["x1"] == 1
        assert FULL not in {name for name, _ in trials.sent}

    @pytest.mark.parametrize("gain", [0.03, 0.2])
    def test_a_network_has_to_bring_something(self, gain: float) -> None:
        network = replace(NETWORK, curve=replace(PLAIN.curve, quality=50 + gain))
        found, _ = searched(Goal(1000, "psnr_y", by_rate=True), PLAIN, network)
        assert found[0].model == (FULL if gain < 0.05 else "x1")

    def test_scale_4_is_for_low_rates(self) -> None:
        """However good it looks where scale 2 still has a low CRF."""
        quarter = replace(QUARTER, curve=replace(QUARTER.curve, quality=60))
        for crf in (20, 35):
            _, trials = searched(Goal(HALF.curve.at(crf).kbps, "psnr_y", by_rate=True), HALF, quarter)
            assert bool(trials.counts["x4"]) == (crf > 29)

    @given(halving=st.floats(4, 9), crf=st.floats(8, 45))
    def test_few_sendings_meet_the_rate(self, halving: float, crf: float) -> None:
        """Before anything is restored."""
        way = Made("x2", 2, Curve(2000, 40, 0.3, halving))
        kbps = way.curve.at(crf).kbps
        _, trials = searched(Goal(kbps, "psnr_y", by_rate=True), way)
        (trial,) = trials.of(way)
        assert len(trials.sent) <= 4
        assert abs(math.log2(trial.kbps / kbps)) <= 0.5 / halving + 0.1

    def test_a_rate_below_all(self) -> None:
        """Where scale 2 cannot be sent at it, scale 4 may; where nothing can, that is said."""
        low = HALF.curve.at(51).kbps / 2
        found, _ = searched(Goal(low, "psnr_y", by_rate=True), *LADDER)
        assert [way.model for way in found] == ["x4"]
        with pytest.raises(GoalUnreachable, match="1 kb/s cannot be reached"):
            searched(Goal(1, "psnr_y", by_rate=True), *LADDER)

    @pytest.mark.parametrize(
        ("settings", "preset"),
        [
            ({}, "veryfast"),
            ({"preset": "veryslow"}, "veryfast"),
            ({"preset": "ultrafast"}, "ultrafast"),
            ({"codec": "h265", "preset": "slow"}, "veryfast"),
            ({"codec": "av1"}, None),
        ],
    )
    def test_trials_are_quick(self, settings: dict[str, Any], preset: str | None) -> None:
        encoder = EncoderSettings(**settings, bitrate=100_000)
        assert quick(encoder) == replace(encoder, preset=preset)


class TestGoal:
    @pytest.mark.parametrize(
        ("options", "goal"),
        [
            ({}, None),
            ({"crf": 30}, None),
            ({"bitrate": 800_000, "scale": 2}, None),
            ({"bitrate": 800_000, "model": "lanczos-x2"}, None),
            ({"psnr": 38}, Goal(38, "psnr_y")),
            ({"vmaf": 90, "scale": 2}, Goal(90, "vmaf")),
            ({"vmaf_neg": 90, "model": "full"}, Goal(90, "vmaf_neg")),
            ({"size": 20_000_000}, Goal(None, by_rate=True, size=20_000_000)),
            ({"bitrate": 800_000}, Goal(800, by_rate=True)),
            ({"bitrate": 800_000, "scale": "auto"}, Goal(800, by_rate=True)),
            ({"scale": "auto"}, Goal(None, crf=23)),
            ({"scale": "auto", "crf": 30, "codec": "h265"}, Goal(None, crf=30)),
        ],
        ids=str,
    )
    def test_what_options_aim_at(self, options: dict[str, Any], goal: Goal | None) -> None:
        assert goal_of(SendOptions(**options)) == goal

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"psnr": 38, "vmaf": 90}, "only one thing can be aimed at"),
            ({"vmaf": 90, "vmaf_neg": 90}, "only one thing"),
            ({"vmaf": 90, "crf": 30}, "only one thing"),
            ({"size": 10_000, "bitrate": 800_000}, "only one thing"),
            ({"psnr": 38, "lossless": True}, "only one thing"),
            ({"vmaf": 0}, r"VMAF of 0 cannot be aimed at \(1 to 100\)"),
            ({"vmaf_neg": 101}, "VMAF-NEG of 101"),
            ({"psnr": 5}, r"PSNR-Y of 5 cannot be aimed at \(10 to 70\)"),
            ({"psnr": math.nan}, "PSNR-Y of nan"),
            ({"scale": "auto", "model": "irn-h264-x2"}, "--scale auto chooses the network"),
            ({"scale": "auto", "lossless": True}, "without loss"),
            ({"codec": "ffv1", "vmaf": 90}, "without loss"),
        ],
        ids=str,
    )
    def test_what_cannot_be_aimed_at(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(BadOption, match=words):
            goal_of(SendOptions(**options))

    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("20M", 20_000_000),
            ("20MB", 20_000_000),
            ("20MiB", 20 << 20),
            ("20 mib", 20 << 20),
            ("1.5G", 1_500_000_000),
            ("700k", 700_000),
            ("7Ki", 7168),
            (" 4096 ", 4096),
        ],
    )
    def test_sizes(self, text: str, size: int) -> None:
        assert parse_size(text) == size

    @pytest.mark.parametrize(
        "text", ["", "M", "20X", "20i", "20iB", "-20M", "1e6", "999", "0", "20 M M", "nan", "2,5M"]
    )
    def test_what_is_no_size(self, text: str) -> None:
        with pytest.raises(BadOption, match="is not a size"):
            parse_size(text)

    @given(st.integers(1000, 10**15))
    def test_every_number_of_bytes_is_a_size(self, size: int) -> None:
        assume(float(size) == size)
        assert parse_size(str(size)) == size


def chosen(goal: Goal, *, filling: bool = True) -> Chosen:
    best = Way(FULL, 1, Point(20.0, (goal.value or 0) * (1 if filling else 0.5), 40.0))
    sample: Any = SimpleNamespace(info=SimpleNamespace(path=Path("clip.mp4")))
    return Chosen(SendOptions(), (best,), 2, goal, sample, 0)


def test_what_was_chosen_in_words() -> None:
    """Others are spoken of only where there were any."""
    found = chosen(Goal(31.0, "psnr_y"))
    assert "the others are far behind" in str(found)
    assert "others" not in str(replace(found, tried=1))


class TestSendingAgain:
    @pytest.mark.parametrize(
        ("metric", "reached"), [("psnr_y", 37.85), ("vmaf", 37.1), ("vmaf_neg", 60), ("vmaf", None)]
    )
    def test_what_is_near_enough_stays(self, tmp_path: Path, metric: str, reached: float | None) -> None:
        options = SendOptions(crf=26)
        assert corrected(options, chosen(Goal(38, metric)), written(tmp_path, 1000, 900), reached) is None

    def test_what_is_missing_is_made_up_for(self, tmp_path: Path) -> None:
        file = written(tmp_path, 1000, 900)
        assert corrected(SendOptions(crf=26), chosen(Goal(38, "psnr_y")), file, 37) == SendOptions(crf=24)
        assert corrected(SendOptions(crf=1), chosen(Goal(90, "vmaf")), file, 80) == SendOptions(crf=0)

    def test_a_rate_is_left_to_the_encoder(self, tmp_path: Path) -> None:
        goal = Goal(800, by_rate=True)
        assert corrected(SendOptions(bitrate=800_000), chosen(goal), written(tmp_path, 10, 9), 20) is None

    @pytest.mark.parametrize(
        ("size", "video", "bitrate"),
        [
            (100_000, 90_000, None),
            (93_000, 90_000, None),
            (80_000, 40_000, round(100_000 * (98_500 - 40_000) / 40_000)),
            (100_001, 50_001, round(100_000 * (98_500 - 50_000) / 50_001)),
            (150_000, 140_000, round(100_000 * (98_500 - 10_000) / 140_000)),
        ],
    )
    def test_a_size_is_met(self, tmp_path: Path, size: int, video: int, bitrate: int | None) -> None:
        """What is beside the video stays as large as it is."""
        aim = chosen(Goal(100, by_rate=True, size=100_000))
        again = corrected(SendOptions(bitrate=100_000), aim, written(tmp_path, size, video), None)
        assert again == (None if bitrate is None else SendOptions(bitrate=bitrate))

    def test_a_size_that_nothing_fills(self, tmp_path: Path) -> None:
        aim = chosen(Goal(100, by_rate=True, size=100_000), filling=False)
        assert corrected(SendOptions(bitrate=100_000), aim, written(tmp_path, 50_000, 40_000), None) is None

    def test_a_size_that_the_rest_exceeds(self, tmp_path: Path) -> None:
        aim, file = chosen(Goal(100, by_rate=True, size=100_000)), written(tmp_path, 120_000, 10_000)
        with pytest.raises(GoalUnreachable, match=r"100000 bytes are too few \(all but the video takes 110000"):
            corrected(SendOptions(bitrate=100_000), aim, file, None)
        with pytest.raises(GoalUnreachable, match="100000 bytes are too few"):
            check_size_kept(aim, file)
        check_size_kept(replace(aim, goal=replace(aim.goal, size=120_000)), file)


def written(folder: Path, size: int, video: int) -> WriteSummary:
    path = folder / "lr.mp4"
    path.write_bytes(bytes(size))
    return WriteSummary(path, 8, video, 1.0, (), ())
