"""Sending and receiving in one line: options as keywords, or as an object."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

from irn_video.codecs.errors import BadOption
from irn_video.pipeline.flow import Advance
from irn_video.receiver import receiving
from irn_video.receiver.receiving import ReceiveOptions
from irn_video.sender import sending
from irn_video.sender.options import SendOptions

Say = Callable[[str], None]
P = ParamSpec("P")
Options = TypeVar("Options")
OptionsIn = TypeVar("OptionsIn", contravariant=True)
Result = TypeVar("Result")
ResultOut = TypeVar("ResultOut", covariant=True)


class WithKeywords(Protocol[P, OptionsIn, ResultOut]):
    """A function of two files whose options may be given as keywords, or as an object."""

    @overload
    def __call__(self, source: Path | str, output: Path | str, /, *args: P.args, **options: P.kwargs) -> ResultOut: ...

    @overload
    def __call__(
        self,
        source: Path | str,
        output: Path | str,
        /,
        options: OptionsIn | None = None,
        *,
        advance: Advance | None = None,
        say: Say | None = None,
    ) -> ResultOut: ...


def _with_keywords(run: Callable[..., Result], kind: Callable[P, Options]) -> WithKeywords[P, Options, Result]:
    """`run(source, output, options, *, advance, say)` that takes the fields of its kind of options as keywords too."""
    signature, known = inspect.signature(run), inspect.signature(kind).parameters

    @wraps(run)
    def call(
        source: Path | str,
        output: Path | str,
        /,
        options: Options | None = None,
        *,
        advance: Advance | None = None,
        say: Say | None = None,
        **changes: Any,
    ) -> Result:
        for name in sorted(changes.keys() - known.keys()):
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
            raise BadOption(f"no option {name!r}", hint=hint)
        chosen: Any = kind() if options is None else options  # type: ignore[call-arg]  # all have defaults
        return run(source, output, replace(chosen, **changes), advance=advance, say=say)

    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in known.values()]
    # What `help` shows.
    call.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *keywords])  # type: ignore[attr-defined]
    return cast("WithKeywords[P, Options, Result]", call)


send = _with_keywords(sending.send, SendOptions)
"""`sender.send`, whose options may be given as keywords: `send("input.mp4", "out_lr.mp4", crf=26)`."""

receive = _with_keywords(receiving.receive, ReceiveOptions)
"""`receiver.receive`, likewise: `receive("out_lr.mp4", "restored.mp4", temperature=0)`."""
