"""BD-rate, crossovers and hulls of curves whose answers are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from irn_video.pipeline.quality.curves import Crossover, Curve, bd_rate, crossover, hull, overlap, reach

RATES = (100.0, 200.0, 400.0, 800.0, 1600.0)
CURVE = Curve((125, 250, 500, 1000, 2000), (28.0, 32.0, 35.5, 38.5, 41.0))


def straight(cheaper: float = 0.0, qualities: tuple[float, ...] = (30, 32, 34, 36, 38)) -> Curve:
    """Straight in log rate: 2 dB double it."""
    return Curve(tuple((1 - cheaper) * 100 * 2 ** ((quality - 30) / 2) for quality in qualities), qualities)


def scaled(curve: Curve, factor: float) -> Curve:
    return replace(curve, rates=tuple(factor * rate for rate in curve.rates))


class TestBdRate:
    def test_of_a_curve_shifted_by_exactly_a_fifth(self) -> None:
        assert bd_rate(CURVE, scaled(CURVE, 0.8)) == pytest.approx(-20.0)
        assert bd_rate(scaled(CURVE, 0.8), CURVE) == pytest.approx(25.0)
        assert bd_rate(CURVE, CURVE) == pytest.approx(0.0)

    def test_is_that_of_the_package(self) -> None:
        other = Curve((110, 260, 480, 1100), (27.5, 32.5, 35.0, 39.5))
        columns = (list(column) for column in (CURVE.rates, CURVE.qualities, other.rates, other.qualities))
        from bjontegaard import bd_rate as theirs  # which takes seconds to import

        by_hand = theirs(*columns, method="pchip", require_matching_points=False, min_overlap=0)
        assert bd_rate(CURVE, other) == pytest.approx(by_hand)

    def test_is_missing_without_overlap_or_points(self) -> None:
        better = replace(CURVE, qualities=tuple(quality + 50 for quality in CURVE.qualities))
        assert bd_rate(CURVE, better) is None
        assert crossover(CURVE, better) is None
        assert bd_rate(CURVE, Curve((100,), (30,))) is None


def test_a_curve_leaves_out_points_that_spend_more_for_less() -> None:
    points = list(zip(CURVE.rates, CURVE.qualities, strict=True))
    assert Curve.through([(600, 33.0), *reversed(points), (2000, 40.0)]) == CURVE


class TestCrossover:
    def test_where_straight_lines_meet(self) -> None:
        full = Curve(RATES, tuple(10 * math.log10(r) for r in RATES))
        # Half the slope, so better below 300 kb/s and worse above.
        small = Curve(RATES, tuple(5 * math.log10(r) + 5 * math.log10(300) for r in RATES))
        found = crossover(full, small)
        assert found is not None
        assert found.relation == "at"
        assert found.rate == pytest.approx(300, rel=1e-3)
        assert str(found) == "300"

    def test_of_a_curve_that_always_wins_or_loses(self) -> None:
        better = scaled(CURVE, 0.5)
        wins, loses = crossover(CURVE, better), crossover(better, CURVE)
        assert wins == Crossover(pytest.approx(1000), "above")
        assert loses == Crossover(pytest.approx(125), "below")
        assert (str(wins), str(loses)) == ("> 1000", "< 125")


class TestHull:
    def test_a_cheaper_curve_saves_what_it_is_cheaper(self) -> None:
        found = hull({"full": straight(), "x1": straight(0.2)}, "full")
        assert found.saving == pytest.approx(-20, abs=0.01)
        assert found.shares == {"full": 0.0, "x1": 1.0}

    def test_never_loses(self) -> None:
        found = hull({"full": straight(), "bad": straight(-0.3), "point": Curve((1,), (31,))}, "full")
        assert found.saving == pytest.approx(0, abs=1e-9)
        assert found.shares == {"full": 1.0, "bad": 0.0, "point": 0.0}

    def test_each_quality_takes_the_cheapest_that_reaches_it(self) -> None:
        # x2 is 20 % cheaper over the lower half of the qualities and does not reach the upper one.
        found = hull({"full": straight(), "x2": straight(0.2, (30, 31, 32, 33, 34))}, "full")
        assert found.shares["x2"] == pytest.approx(0.5, abs=0.01)
        assert found.saving == pytest.approx(100 * (0.8**0.5 - 1), abs=0.1)

    def test_its_range_ends_with_the_cheapest_curve_alone(self) -> None:
        full, cheap, dear = straight(), straight(0.2, (31, 33, 35)), straight(-0.2, (32, 34))
        assert reach({"full": full, "dear": dear}, "full") == (30, 38)
        assert reach({"full": full, "cheap": cheap, "dear": dear}, "full") == (31, 35)
        assert reach({"full": full, "cheap": straight(0.2, (20, 25))}, "full") == (30, 38)
        found = hull({"full": full, "cheap": cheap}, "full", (31, 35))
        assert found.saving == pytest.approx(-20, abs=1e-6)
        assert (found.curve.qualities[0], found.curve.qualities[-1]) == (31, 35)

    def test_parts_leave_out_what_does_not_matter(self) -> None:
        full = straight()
        small = Curve((50, 150, 450, 1400), (30, 32, 34, 36))  # cheaper than full size at first
        nearly = straight(0.005)
        first, last = hull({"full": full, "small": small}, "full").parts
        assert (first.name, last.name) == ("small", "full")
        assert first.low == pytest.approx(50)
        place = crossover(full, small)
        assert place is not None
        assert first.high == last.low == pytest.approx(place.rate, rel=0.01)
        assert last.high == pytest.approx(1600)
        assert [part.name for part in hull({"full": full, "nearly": nearly}, "full").parts] == ["nearly"]
        assert [part.name for part in hull({"full": full, "small": small, "nearly": nearly}, "full").parts] == [
            "small",
            "nearly",
        ]

    def test_quality_at_a_rate(self) -> None:
        assert straight().quality(200 * 2**0.5) == pytest.approx(33)
        assert straight().quality(99) is None


def test_overlap_is_a_share_of_the_smaller_range() -> None:
    assert overlap(straight(), straight(0.3)) == 1
    assert overlap(straight(), straight(qualities=(34, 36, 38, 40, 42))) == pytest.approx(0.5)
    assert overlap(straight(), straight(qualities=(33, 34, 35))) == 1
    assert overlap(straight(), straight(qualities=(39, 40))) == 0
    assert overlap(straight(), Curve((1,), (33,))) == 0
