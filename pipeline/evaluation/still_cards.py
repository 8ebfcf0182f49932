"""The card that a small image carries: made when it is shrunk, read and checked when it is enlarged."""

from __future__ import annotations

from pathlib import Path

from irn_video.codecs.bitstream.card import StreamCard, digest_of
from irn_video.codecs.bitstream.image_card import card_in, old_size_in
from irn_video.codecs.errors import BadCard
from irn_video.codecs.picture import Picture
from irn_video.codecs.scales import enlarged
from irn_video.pipeline.evaluation.rescalers import Draw, StillRescaler
from irn_video.pipeline.evaluation.stills import RGB, file_bytes
from irn_video.pipeline.restoring import check_lr_size

_ALL_THE_SAME = "--no-card enlarges it all the same"


def card_of(rescaler: StillRescaler, hr: Picture, lr: Picture, draw: Draw, *, codec: str, lossless: bool) -> StreamCard:
    """The card of an LR image of ⌈side / scale⌉ samples, to be restored with this latent."""
    scale = rescaler.scale
    return StreamCard(
        model=rescaler.name,
        model_sha256=digest_of(rescaler.sha256),
        scale=scale,
        width=hr.width,
        height=hr.height,
        pad_right=enlarged(lr.width, scale) - hr.width,
        pad_bottom=enlarged(lr.height, scale) - hr.height,
        layout=RGB.layout,
        bit_depth=RGB.bit_depth,
        color=RGB.color,
        codec=codec,
        crf=None,
        bitrate=None,
        lossless=lossless,
        latent_std=draw.temperature,
        seed=draw.seed,
        source_name="",
        source_bytes=0,
        source_sha256="",
        frames=1,
    )


def read_note(path: Path) -> StreamCard | tuple[int, int] | None:
    """What an image file says about how it was shrunk: its card, or just (height, width) of HR in older PNG files.

    Raises:
        MissingFile, UnreadablePicture: see `read_still`.
        BadCard: the card is damaged.
    """
    data = file_bytes(path)
    try:
        return card_in(data) or old_size_in(data)
    except BadCard as error:
        raise BadCard(error.what, path=path, hint=_ALL_THE_SAME) from error


def check_fits(card: StreamCard, lr: Picture, path: Path) -> None:
    """Refuse the card of an image that was changed since.

    Raises:
        BadCard: its size is another.
    """
    try:
        check_lr_size(lr.width, lr.height, card)
    except BadCard as error:
        raise BadCard(error.what, path=path, hint=f"it was cropped or resized since; {_ALL_THE_SAME}") from error
