"""samples/hull.py: its tables, from files of bdrate.py."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from click.testing import CliRunner

sys.path.append(str(Path(__file__).resolve().parent.parent / "samples"))

import bdrate
import hull
from rates import RatePoint


def curve(
    cheaper: float = 0.0, shift: float = 0.0, qualities: tuple[float, ...] = (30, 32, 34, 36, 38)
) -> list[RatePoint]:
    """Straight in log rate: 2 dB double it."""
    rates = [(1 - cheaper) * 100 * 2 ** ((quality - 30) / 2) for quality in qualities]
    return [
        RatePoint(0, 0, rate, quality + shift, quality + shift) for rate, quality in zip(rates, qualities, strict=True)
    ]


def test_tables_from_a_file_of_bdrate(tmp_path: Path) -> None:
    curves = {"a.mkv": {bdrate.FULL: curve(), "x2": curve(0.2, qualities=(26, 28, 30, 32, 34))}}
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(bdrate.as_json(curves, [], [], bdrate.FULL)))
    assert hull.read_curves(path)["a.mkv"]["x2"][0] == RatePoint(**asdict(curves["a.mkv"]["x2"][0]))
    done = CliRunner().invoke(hull.main, [str(path)])
    assert done.exit_code == 0
    assert "\u221210.6 %" in done.output  # half of the qualities at 0.8 of the rate
    other = tmp_path / "other.json"
    other.write_text(json.dumps(bdrate.as_json({"b.mkv": {bdrate.FULL: curve()}}, [], [], bdrate.FULL)))
    unequal = CliRunner().invoke(hull.main, [str(path), str(other)])
    assert unequal.exit_code == 1
    assert "every network" in unequal.output
    path.write_text("{}")
    failed = CliRunner().invoke(hull.main, [str(path)])
    assert failed.exit_code == 1
    assert "bdrate.py --json" in failed.output


def test_a_curve_may_come_in_parts(tmp_path: Path) -> None:
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
        outputs.append(CliRunner().invoke(hull.main, [str(path) for path in paths]).output)
    assert outputs[0] == outputs[1]
    assert "kb/s" in outputs[0] or "\u221210.6 %" in outputs[0]
