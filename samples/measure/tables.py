"""Rows of text as tables for a terminal or for Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def percent(value: float | None) -> str:
    """With a sign, a true minus, and a dash for what is not known."""
    return "–" if value is None else f"{value:+.1f} %".replace("-", "\N{MINUS SIGN}")


def table(rows: Sequence[Sequence[str]], *, markdown: bool = False) -> str:
    """The first row is the head; the first column is set to the left, the others to the right."""
    if markdown:
        head, *lines = ("| " + " | ".join(row) + " |" for row in rows)
        return "\n".join([head, "|---|" + "---:|" * (len(rows[0]) - 1), *lines])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )
