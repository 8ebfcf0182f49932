"""What a browser plays: two methods of a clip, and its source, one below the other in one video.

One video keeps them in step by construction. It is H.264 with 8 bits and 4:2:0, which all browsers play, the same for
all: encoded at so low a loss that it cannot be seen, and with one quantiser for a whole frame (x264's ultrafast has no
adaptive quantisation, zerolatency no macroblock tree), so that no part of it can be favoured.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import numpy as np
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import ClosedPipe, IrnError, SourceMismatch
from irn_video.codecs.picture import Layout, Picture, VideoFormat
from irn_video.codecs.reading.reader import VideoReader
from irn_video.codecs.writing.writer import VideoWriter
from irn_video.pipeline.blind.entrants import Clip
from irn_video.pipeline.blind.session import Trial
from irn_video.pipeline.planes import Samples, carried_color, convert, resolved_color, stacked

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = EncoderSettings(crf=6, preset="ultrafast", tune="zerolatency", keyint=12)
"""Of what is shown, the same for all."""
_BLOCK, _APART = 16, 2  # luma lines: whole macroblocks, and enough between two that filters do not mix them
_KEPT = 4


@dataclass(frozen=True)
class Showing:
    """Two methods of a clip, in an order that says nothing.

    Attributes:
        name: a random word.
        clip: theirs.
        methods: from top to bottom.
    """

    name: str
    clip: Clip
    methods: tuple[str, str]

    def paths(self) -> list[Path]:
        """From top to bottom; the reference, if there is one, is the last."""
        reference = self.clip.reference
        return [self.clip.methods[name] for name in self.methods] + ([reference] if reference else [])

    def describe(self, trial: Trial) -> dict[str, object]:
        """What the page has to know; no name of a method or of a file."""
        clip = self.clip
        return {
            "video": f"/video/{self.name}",
            "a": self.methods.index(trial.a),
            "b": self.methods.index(trial.b),
            "reference": len(self.methods) if clip.reference else None,
            "width": clip.width,
            "height": clip.height,
            "stride": stride(clip.height),
            "frames": clip.frames,
            "rate": float(clip.rate),
        }


class Showings:
    """All showings of some clips: made in a thread of its own when they are asked for, the last few kept.

    Args:
        clips: what is compared.
        folder: where the videos lie.
    """

    def __init__(self, clips: Sequence[Clip], folder: Path) -> None:
        random = SystemRandom()
        self._pairs: dict[tuple[str, frozenset[str]], Showing] = {}
        for clip in clips:
            for one, other in clip.pairs():
                order = (one, other) if random.random() < 0.5 else (other, one)
                self._pairs[clip.name, frozenset(order)] = Showing(secrets.token_hex(8), clip, order)
        self._named = {showing.name: showing for showing in self._pairs.values()}
        self._folder = folder
        self._made: OrderedDict[str, Future[Path]] = OrderedDict()
        self._stopping = threading.Event()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Videos can be asked for until this is left."""
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="irn-showing")
        try:
            yield
        finally:
            self._stopping.set()
            self._maker.shutdown(cancel_futures=True)

    def of(self, trial: Trial) -> Showing:
        """What is shown in a trial."""
        return self._pairs[trial.clip, frozenset((trial.a, trial.b))]

    def video(self, name: str) -> Future[Path] | None:
        """The video of a showing; None where there is none of the name. Call it from one thread."""
        if (showing := self._named.get(name)) is None:
            return None
        if name in self._made and not _failed(self._made[name]):
            self._made.move_to_end(name)
        else:
            self._made[name] = self._maker.submit(self._make, showing)
            while len(self._made) > _KEPT:
                _, old = self._made.popitem(last=False)
                if not old.cancel():
                    old.add_done_callback(_remove)
        return self._made[name]

    def _make(self, showing: Showing) -> Path:
        path = self._folder / f"{showing.name}.mp4"
        write_showing(showing, path, self._stopping)
        return path


def stride(height: int) -> int:
    """Lines from the beginning of a picture to that of the one below it, of that height."""
    return -(-(height + _APART) // _BLOCK) * _BLOCK


def write_showing(showing: Showing, path: Path, stopping: threading.Event | None = None) -> None:
    """Write the video of a showing. Times are counted from its rate: what is shown together is what has one index.

    Raises:
        SourceMismatch: one of them ends before the others.
        ClosedPipe: the event was set before it was done.
        IrnError: of reader and writer, see there.
    """
    clip, paths = showing.clip, showing.paths()
    with ExitStack() as stack:
        readers = [stack.enter_context(VideoReader(source)) for source in paths]
        color = resolved_color(carried_color(readers[0].info.color, Layout.YUV420, clip.height), clip.height)
        samples = Samples(Layout.YUV420, 8, color)
        height, width = stride(clip.height), clip.width + clip.width % 2
        video = VideoFormat(
            width=width,
            height=height * len(paths),
            layout=samples.layout,
            bit_depth=samples.bit_depth,
            color=color,
            time_base=1 / clip.rate,
            frame_rate=clip.rate,
        )
        writer = stack.enter_context(VideoWriter(path, SETTINGS, video, overwrite=True))
        try:
            for index, pictures in enumerate(zip(*readers, strict=True)):
                if stopping is not None and stopping.is_set():
                    raise ClosedPipe("nobody watches any more")
                turned = [_turned(convert(picture, samples), clip.turns) for picture in pictures]
                planes = stacked(turned, samples, height, width)
                writer.write(Picture(planes, samples.layout, 8, color, index, video.time_base, duration=1))
        except ValueError as error:
            if isinstance(error, IrnError):
                raise
            raise SourceMismatch(
                "its videos have not the same number of frames", path=paths[0].parent, hint="make them again"
            ) from error


def _turned(picture: Picture, quarters: int) -> Picture:
    """Counter-clockwise."""
    y, u, v = (np.rot90(plane, quarters) for plane in picture.planes)
    return replace(picture, planes=(y, u, v))


def _failed(made: Future[Path]) -> bool:
    return made.done() and made.exception() is not None


def _remove(made: Future[Path]) -> None:
    if not _failed(made):
        with suppress(OSError):
            made.result().unlink()
