"""How freed memory is kept for the next frame, on Linux."""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
_LARGEST = 32 << 20


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed, for the whole process.

    By default it gives planes of frames back to the system at once, and the next frame's begin with a page fault for
    every 4 KiB: that was half of the time of the reverse pass. Where there is no `mallopt`, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_ARENA_MAX, 1)  # what one thread has freed the next one takes
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _LARGEST)
