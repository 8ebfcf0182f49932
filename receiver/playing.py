"""Watching an LR stream while it is restored: in mpv, with sound, else in a window without."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from irn_video.codecs.errors import ClosedPipe
from irn_video.codecs.pipes import PIPE, Sink
from irn_video.codecs.reading.inputs import as_file
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.flow import Advance
from irn_video.pipeline.restoring import restored_pictures
from irn_video.pipeline.upscalers import card_for, check_restoring, rescaler_for, restoration_for
from irn_video.receiver.playlists import as_video
from irn_video.receiver.receiving import ReceiveOptions, receive
from irn_video.receiver.window import Window, check_screen

_PLAYER = "mpv"
_WORDS = ("--really-quiet", "--no-input-terminal", "-")


def play(
    lr: Path | str,
    options: ReceiveOptions | None = None,
    *,
    advance: Advance | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Show a stream at its pace, or at that of this machine if it is slower, until it ends or the window is closed.

    Args:
        lr: a file made by `send`; `-` for standard input; a playlist, see `as_video`.
        options: see `ReceiveOptions`; nothing is measured.
        advance: see `Advance`.
        say: called with what shows it, once, before the work starts.

    Raises:
        BadOption: there is no screen.
        IrnError: the stream cannot be restored.
    """
    lr, options = Path(lr), options or ReceiveOptions()
    check_screen("irn-receive INPUT OUTPUT writes a file")
    player = shutil.which(_PLAYER)
    if say is not None:
        say(f"shown by {_PLAYER}" if player else f"without sound, which {_PLAYER} would play: it is not installed")
    if player is None:
        _show(lr, options, advance)
        return
    words = [player, f"--title={lr.name}", *_WORDS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True) as shown:
        assert shown.stdin is not None
        try:
            # Frames go to it without loss and with their times, the sound as it was.
            options = replace(options, codec="h264", lossless=True, preset="ultrafast", format="matroska")
            receive(lr, PIPE, options, advance=advance, sink=Sink(shown.stdin.fileno()))
        except ClosedPipe:
            return  # its window was closed
        except BaseException:
            shown.kill()
            raise


def _show(lr: Path, options: ReceiveOptions, advance: Advance | None) -> None:
    """In a window of OpenCV's."""
    check_restoring(options)
    window = Window()
    with (
        as_file(lr, again=True) if lr == PIPE else nullcontext(lr) as path,
        as_video(path, PIPE, options.rung, lambda _: lambda *_: None) as video,
        VideoReader(video, stream=options.stream, frames=options.frames, quantiser=True) as reader,
    ):
        card = card_for(reader.info, options)
        rescaler = rescaler_for(card, options)
        to = restoration_for(card, rescaler, options)
        with restored_pictures(reader, rescaler, to, None) as restored:
            began: float | None = None
            for done, item in enumerate(restored, 1):
                at = item.picture.pts_seconds
                began = time.monotonic() - at if began is None else began
                time.sleep(max(0.0, began + at - time.monotonic()))
                if window.show(item.picture):
                    return
                if advance is not None:
                    advance(done, reader.info.frames)
