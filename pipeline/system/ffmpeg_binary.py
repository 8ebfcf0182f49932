"""FFmpeg's own program, for what PyAV's libraries lack: libvmaf, cutting with filters.

What runs it is imported when it is needed: a machine that only sends and receives may lack it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from irn_video.codecs.errors import UnreadableVideo

if TYPE_CHECKING:
    import ffmpeg


def read(path: Path, **options: Any) -> ffmpeg.nodes.FilterableStream:
    """A file as FFmpeg's input: whatever its name or content says, it stays a local one."""
    import ffmpeg

    return ffmpeg.input(f"file:{path}", protocol_whitelist="file,crypto,data", **options)


def run(output: ffmpeg.nodes.OutputStream, what: str, path: Path) -> None:
    """Run FFmpeg, which may replace its outputs.

    Raises:
        UnreadableVideo: "`what`: FFmpeg's last words" for `path`.
    """
    import ffmpeg
    import imageio_ffmpeg

    try:
        output.run(cmd=imageio_ffmpeg.get_ffmpeg_exe(), quiet=True, overwrite_output=True)
    except ffmpeg.Error as error:
        *_, last = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise UnreadableVideo(f"{what}: {last}", path=path) from error


def version() -> str:
    """Of the program."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_version())
