"""What `hull` makes of files of `bdrate`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from measure import bdrate, hull
from measure.__main__ import main
from measure.rates import RatePoint


def curve(
    cheaper: float = 0.0, shift: float = 0.0, qualities: tuple[float, ...] = (30, 32, 34, 36, 38)
) -> list[RatePoint]:
    """Straight in log rate: 2 dB double it."""
    rates = [(1 - cheaper) * 100 * 2 ** ((quality - 30) / 2) for quality in qualities]
    return [
        RatePoint(0, 0, rate, quality + shift, quality + shift) for rate, quality in zip(rates, qualities, strict=True)
    ]


def test_tables_from_a_file_of_bdrate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curves = {"a.mkv": {bdrate.FULL: curve(), "x2": curve(0.2, qualities=(26, 28, 30, 32, 34))}}
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(bdrate.as_json(curves, [], [], bdrate.FULL)))
    assert hull.read_curves(path)["a.mkv"]["x2"][0] == RatePoint(**asdict(curves["a.mkv"]["x2"][0]))
    assert main(["hull", str(path)]) == 0
    assert "\u221210.6 %" in capsys.readouterr().out  # half of the qualities at 0.8 of the rate
    other = tmp_path / "other.json"
    other.write_text(json.dumps(bdrate.as_json({"b.mkv": {bdrate.FULL: curve()}}, [], [], bdrate.FULL)))
    assert main(["hull", str(path), str(other)]) == 2
    assert "every network" in capsys.readouterr().err
    path.write_text("{}")
    assert main(["hull", str(path)]) == 2
    assert "bdrate --json" in capsys.readouterr().err


def test_crossovers_go_from_the_finer_scale_to_the_coarser(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever CRFs they were measured at: scale 1.5 may begin with more bits than full size."""

    def points(first: float, finest: float, slope: float) -> list[RatePoint]:
        steps = [(first + 4 * step, 40 - 2 * step) for step in range(6)]
        rates = [finest * 2 ** ((quality - 40) / slope) for _, quality in steps]
        return [RatePoint(crf, 0, kbps, q, q) for (crf, q), kbps in zip(steps, rates, strict=True)]

    ways = {"x1": points(20, 1000, 3), "x1.5": points(12, 1200, 2)}
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(bdrate.as_json({"a.mkv": {bdrate.FULL: points(20, 1100, 3), **ways}}, [], [], "x1.5")))
    assert main(["hull", str(path)]) == 0
    crossings = [line.split() for line in capsys.readouterr().out.split("crossover")[1].splitlines() if "a.mkv" in line]
    assert [line[1:3] for line in crossings] == [["x1", "x1.5"]]


def test_vmaf_neg_is_a_table_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines that were there stay as they are; the hull is that of its own curves."""
    small = curve(0.2, qualities=(26, 28, 30, 32, 34))
    curves = {bdrate.FULL: curve(), "x2": small}
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(bdrate.as_json({"a.mkv": curves}, [], [], bdrate.FULL)))
    assert main(["hull", str(path)]) == 0
    before = capsys.readouterr().out
    assert main(["hull", str(path), "--vmaf-neg"]) == 2
    assert "bdrate --vmaf-neg" in capsys.readouterr().err
    seen = {bdrate.FULL: curve(), "x2": [replace(p, psnr_y=p.psnr_y + 4) for p in small]}
    both = {
        name: [replace(p, vmaf_neg=q.psnr_y) for p, q in zip(points, seen[name], strict=True)]
        for name, points in curves.items()
    }
    path.write_text(json.dumps(bdrate.as_json({"a.mkv": both}, [], [], bdrate.FULL)))
    assert main(["hull", str(path), "--vmaf-neg"]) == 0
    after = capsys.readouterr().out
    assert after.startswith(before)
    hulls, levels = after[len(before) :].strip().split("\n\n")
    assert [re.split(r"  +", line)[1:] for line in levels.splitlines()] == [
        ["VMAF-NEG 60", "VMAF-NEG 75", "VMAF-NEG 90"],
        ["–", "–", "–"],  # no curve reaches so high
    ]
    lines = [re.split(r"  +", line) for line in hulls.splitlines()]
    assert lines == [
        ["clip", "hull, VMAF-NEG", "full size best", "x2 best"],
        ["a.mkv", "\u221280.0 %", "0 %", "100 %"],  # a quarter of the rate, less a fifth
        ["mean", "\u221280.0 %"],
    ]


def test_the_best_way_at_levels_of_quality() -> None:
    def points(factor: float, best: float) -> list[RatePoint]:
        qualities = (50, 60, 70, 80, best)
        return [RatePoint(0, 0, factor * 2 ** (q / 10), q, q, vmaf_neg=q) for q in qualities]

    curves = {"a.mkv": {bdrate.FULL: points(1, 95), "x1": points(0.9, 95), "x2": points(0.7, 85)}}
    lines = hull.levels_table(curves, (60, 75, 90, 99), markdown=True).splitlines()
    assert lines[2] == "| a.mkv | −30.0 % (x2) | −30.0 % (x2) | −10.0 % (x1) | – |"


def test_a_curve_may_come_in_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points from two files, some of them in both, are those of one curve."""
    whole = {"a.mkv": {bdrate.FULL: curve(), "x2": curve(0.2, qualities=(26, 28, 30, 32, 34))}}
    parts = [
        {"a.mkv": {bdrate.FULL: curve(), "x2": curve(0.2, qualities=(30, 32, 34))}},
        {"a.mkv": {bdrate.FULL: curve()[:3], "x2": curve(0.2, qualities=(26, 28, 30))}},
    ]
    outputs = []
    for name, tables in (("whole", [whole]), ("parts", parts)):
        paths = []
        for index, table in enumerate(tables):
            paths.append(tmp_path / f"{name}{index}.json")
            paths[-1].write_text(json.dumps(bdrate.as_json(table, [], [], bdrate.FULL)))
        assert main(["hull", *map(str, paths)]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert "kb/s" in outputs[0] or "\u221210.6 %" in outputs[0]
