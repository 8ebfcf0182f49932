"""What a command says while it works: people read stderr, the outcome is on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from irn_video.pipeline.commandline.interrupts import interrupts
from irn_video.pipeline.commandline.progress import Phase, phases
from irn_video.pipeline.commandline.running import warn

if TYPE_CHECKING:
    from irn_video.pipeline.flow import Advance


@dataclass(frozen=True)
class Talk:
    """How much is said.

    Attributes:
        quiet: nothing but errors.
        as_json: stdout is for JSON.
        piped: stdout is for a video.
    """

    quiet: bool = False
    as_json: bool = False
    piped: bool = False

    def tell(self, text: str) -> None:
        """What has come out, on stdout if it is free."""
        if not self.quiet and not self.as_json:
            click.echo(text, err=self.piped)

    def say(self, text: str) -> None:
        """What is going on, on stderr."""
        if not self.quiet:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """What may surprise, on stderr."""
        if not self.quiet:
            warn(text)

    def before(self, advance: Advance) -> Callable[[str], None]:
        """Says what is going on, and then the bar appears."""

        def say(text: str) -> None:
            self.say(text)
            advance(0, None)

        return say

    @contextmanager
    def phases(self) -> Iterator[Phase]:
        """How far the work is, see `phases`; interrupts are noticed in any case."""
        if self.quiet:
            yield _unseen
            return
        with phases() as phase:
            yield phase


def _unseen(_title: str, /, *, counted: bool = True) -> Advance:  # noqa: ARG001
    return lambda _done, _total: interrupts.check()
