"""Every error this project raises on purpose.

Each class also derives from the builtin that fits, carries the file and the cause, and reads as one line:
what happened, where, and what to do. Commands print that line and exit with status 1.
"""

from __future__ import annotations

from pathlib import Path


class IrnError(Exception):
    """Base of all errors of this project.

    Attributes:
        what: what is wrong, in one clause.
        path: the file or folder it concerns, if any.
        hint: what the user can do about it, if anything.
    """

    def __init__(self, what: str, *, path: Path | str | None = None, hint: str | None = None) -> None:
        self.what = " ".join(what.split())
        self.path = Path(path) if path is not None else None
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        line = f"{self.path}: {self.what}" if self.path is not None else self.what
        return f"{line} ({self.hint})" if self.hint else line


class MissingFile(IrnError, FileNotFoundError):
    """A file that was named does not exist or is not a regular file."""

    __str__ = IrnError.__str__


class UnreadableVideo(IrnError, ValueError):
    """The file cannot be read as a video: no video stream, no pictures, damaged beyond decoding."""


class SizeChanged(UnreadableVideo):
    """The picture size or pixel format changes in the middle of the stream."""


class BadOption(IrnError, ValueError):
    """An option has a value that the codec, the container or the network does not accept."""


class UnavailableEncoder(IrnError, RuntimeError):
    """The encoder exists but cannot be opened on this machine (NVENC without a GPU, for example)."""


class UnavailableDevice(IrnError, RuntimeError):
    """The processor that the networks should run on is not in this machine."""


class OutputRefused(IrnError, FileExistsError):
    """The output would overwrite the input or an existing file."""

    __str__ = IrnError.__str__


class UnwritableOutput(IrnError, OSError):
    """The output cannot be written: missing or read-only folder, full disk, container that refuses a stream."""

    __str__ = IrnError.__str__


class ClosedPipe(IrnError, BrokenPipeError):
    """Whoever read the output has gone, as `head` does; commands end quietly."""

    __str__ = IrnError.__str__


class MissingCard(IrnError, LookupError):
    """An LR stream carries no stream card and the options do not make up for it."""


class BadCard(IrnError, ValueError):
    """A stream card is of another version or not well formed."""


class UnknownModel(IrnError, LookupError):
    """No network has this name."""


class BadWeights(IrnError, ValueError):
    """A weights file is damaged, or does not fit the network it claims to be."""


class WeightsMismatch(BadWeights):
    """The weights at hand are not those that made the LR stream."""


class SourceMismatch(IrnError, ValueError):
    """The source to measure against has another size, rate or length than the restored video."""


class BadConfig(IrnError, ValueError):
    """A configuration file has an unknown key, a wrong type or a value out of range."""


class TrainingFailed(IrnError, RuntimeError):
    """Training cannot go on: a loss that is not a number, no data, a checkpoint that does not fit."""


class LinkFailed(IrnError, ConnectionError):
    """A live stream cannot be sent or received: nobody there, no network, the port is taken."""

    __str__ = IrnError.__str__


class StudyFailed(IrnError, RuntimeError):
    """A study cannot measure or conclude something: pictures that do not meet, a damaged results file."""


class BadUpdate(IrnError, ValueError):
    """Weights that came in a stream are damaged, or made for another network."""


class GoalUnreachable(IrnError, ValueError):
    """No way of sending reaches the quality, the bit rate or the size that is wanted."""
