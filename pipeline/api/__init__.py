"""Send video as a small H.264 stream and restore it at full size.

    >>> import irn_video as irn
    >>> sent = irn.send("input.mp4", "out_lr.mp4", crf=26)
    >>> sent.written.frames
    8
    >>> received = irn.receive("out_lr.mp4", "restored.mp4")
    >>> print(f"{received.report.summary()['psnr_y']['mean']:.0f} dB")
    24 dB

Frame by frame, from the start or at any time:

    >>> with irn.open("out_lr.mp4") as video:
    ...     for frame in video:
    ...         image = frame.to_ndarray("rgb24")
    ...     print(video.at(0.1).to_tensor().shape)
    torch.Size([3, 64, 96])

With frames of your own:

    >>> rescaler = irn.Rescaler("irn-h264-x2")
    >>> lr = rescaler.downscale(image)
    >>> lr.shape, rescaler.upscale(lr, qp=26).shape
    ((32, 48, 3), (64, 96, 3))

`irn.load_model("irn-h264-x2").network` is the PyTorch module. Every error is an `irn.IrnError` that says in one line
what to do. Names are loaded on first use: importing this package costs nothing, and no PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if __name__ != "irn_video":
    # An editable install and the folder `typings` show this folder in the package `irn_video.pipeline` too.
    raise ImportError("import irn_video: a second copy of its classes appears otherwise")

if TYPE_CHECKING:
    from irn_video._commands import receive, send
    from irn_video._frame import Frame, RestoredFrame
    from irn_video._rescaler import Rescaler
    from irn_video._video import Video, open
    from irn_video.codecs.errors import IrnError
    from irn_video.pipeline.zoo import list_models, load_model
    from irn_video.receiver import ReceiveOptions, ReceiveResult
    from irn_video.sender import SendOptions, SendResult

    __version__: str

_HOMES = {
    "Frame": "_frame",
    "IrnError": "codecs.errors",
    "ReceiveOptions": "receiver",
    "ReceiveResult": "receiver",
    "Rescaler": "_rescaler",
    "RestoredFrame": "_frame",
    "SendOptions": "sender",
    "SendResult": "sender",
    "Video": "_video",
    "list_models": "pipeline.zoo",
    "load_model": "pipeline.zoo",
    "open": "_video",
    "receive": "_commands",
    "send": "_commands",
}

__all__ = [
    "Frame",
    "IrnError",
    "ReceiveOptions",
    "ReceiveResult",
    "Rescaler",
    "RestoredFrame",
    "SendOptions",
    "SendResult",
    "Video",
    "__version__",
    "list_models",
    "load_model",
    "open",
    "receive",
    "send",
]


if not TYPE_CHECKING:  # which would take any name for one that is here

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("irn-video")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
