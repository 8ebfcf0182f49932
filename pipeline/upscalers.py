"""Which rescaler restores an LR stream: the network its card names, or what is to be compared with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from irn_video.codecs.bitstream.card import StreamCard, is_digest_of
from irn_video.codecs.errors import BadCard, BadOption, MissingCard, UnknownModel, WeightsMismatch
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.video_info import VideoInfo
from irn_video.codecs.scales import enlarged
from irn_video.pipeline.engine.rescaler import Rescaler, Restoration
from irn_video.pipeline.options import LatentOptions, RestoringOptions, check_temperature, check_types
from irn_video.pipeline.restoring import check_size, restoration_of
from irn_video.pipeline.zoo.looks import LOOKS, check_look, has_look
from irn_video.pipeline.zoo.registry import model_names

UPSCALERS = ("model", "lanczos", "bicubic", "rcan")
_OF_FILES = (".safetensors", ".pt", ".pth")


def check_restoring(options: RestoringOptions) -> None:
    """Refuse options before any work is done.

    Raises:
        BadOption: a field of another type, an upscaler that is not in `UPSCALERS`, weights without RCAN, a temperature
            out of range.
    """
    check_types(options)
    check_look(options.look)
    if options.upscaler not in UPSCALERS:
        raise BadOption(f"no upscaler {options.upscaler!r}", hint=", ".join(UPSCALERS))
    if options.upscaler != "model" and options.look is not None:
        raise BadOption(f"{options.upscaler} has one look alone", hint="leave --look out")
    if (options.upscaler == "rcan") != (options.weights is not None):
        raise BadOption("the upscaler rcan and its weights go together", hint="--upscaler rcan --weights RCAN_BIX2.pt")
    check_temperature(options.temperature)


def card_for(info: VideoInfo, options: RestoringOptions) -> StreamCard:
    """The card of an LR stream, or one made up for a stream that has lost its own: no padding, the stream's samples.

    Raises:
        MissingCard: there is none, and the options name no network.
        BadCard: it cannot be read, or does not fit the stream.
        UnknownModel, BadWeights, MissingFile: see `Rescaler.load` and `load_rcan`.
    """
    card = find_card(info.path, stream=info.stream) or _made_up_card(info, options)
    check_size(info, card)
    return card


def rescaler_for(card: StreamCard, options: RestoringOptions) -> Rescaler:
    """What restores a stream.

    Raises:
        WeightsMismatch, BadCard, UnknownModel, BadWeights, MissingFile, BadOption: see `load_for` and `load_rcan_for`.
    """
    if options.upscaler == "model":
        return load_for(
            *(card, options.model),
            device=options.device,
            precision=options.precision,
            reuse=options.reuse,
            look=options.look,
        )
    if options.weights is not None:
        return load_rcan_for(card, Path(options.weights), device=options.device, precision=options.precision)
    return Rescaler.load(f"{options.upscaler}-x{card.scale:g}", device=options.device, precision=options.precision)


def restoration_for(card: StreamCard, rescaler: Rescaler, options: LatentOptions) -> Restoration:
    """How a stream is restored by what `rescaler_for` gives: a look brings its temperature along."""
    temperature = options.temperature
    if temperature is None and options.look is not None:
        temperature = rescaler.temperature
    return restoration_of(card, temperature=temperature, seed=options.seed)


class HasWeights(Protocol):
    """What a card tells apart: its name, the digest of its weights (empty without weights), its scale."""

    name: str
    sha256: str
    scale: float


Loaded = TypeVar("Loaded", bound=HasWeights)


def load_for(
    card: StreamCard,
    name: str | None,
    *,
    device: str,
    precision: str,
    threads: int = 1,
    reuse: bool = True,
    look: str | None = None,
) -> Rescaler:
    """The rescaler that restores a stream, see `load_as_made` and `Rescaler.load`, with this look or the stream's.

    Raises:
        WeightsMismatch, BadCard, UnknownModel, BadWeights, MissingFile, BadOption: see `load_as_made`, `Rescaler.load`.
    """
    if look is None and not _is_here(card):
        raise BadCard(f"{card.model} has no look {card.look!r} here", hint="choose another: --look faithful")
    load = partial(
        Rescaler.load, device=device, precision=precision, threads=threads, reuse=reuse, look=look or card.look
    )
    return load_as_made(card, name, load)


def load_as_made(
    card: StreamCard, name: str | None, load: Callable[[str], Loaded], *, what: str = "stream", path: Path | None = None
) -> Loaded:
    """What restores a stream or an image: the network that made it.

    Args:
        card: of the stream or image.
        name: a network to use in place of the one the card names: it must have the same weights.
        load: gives a network by name or file.
        what: "stream" or "image", for people.
        path: the file, for people.

    Raises:
        WeightsMismatch: these are not the weights that made it.
        BadCard: the card names a file: what is read here is not for a stream to say.
        UnknownModel: the network that the card names is not here.
    """
    if name is None and (Path(card.model).suffix in _OF_FILES or Path(card.model).name != card.model):
        raise BadCard("the card names a file as its model", path=path, hint="give the weights with --model FILE")
    try:
        rescaler = load(name or card.model)
    except UnknownModel as error:
        if name is not None:
            raise
        raise UnknownModel(
            f"the network that made this {what}, {card.model!r}, is not here",
            path=path,
            hint="give it with --model FILE",
        ) from error
    same = bool(rescaler.sha256) or rescaler.name == card.model  # kernels have no weights to compare
    if not (same and is_digest_of(card.model_sha256, rescaler.sha256) and rescaler.scale == card.scale):
        raise WeightsMismatch(
            f"{rescaler.name} has other weights ({rescaler.sha256[:12] or 'none'}) than the network that made this "
            f"{what} ({card.model} {card.model_sha256[:12] or 'none'})",
            path=path,
            hint="give those weights with --model FILE" if name is None else "leave --model out, or give those weights",
        )
    return rescaler


def _is_here(card: StreamCard) -> bool:
    """Whether the look that a card asks for is there; a network that is not is for others to miss."""
    if card.look is None:
        return True
    return card.look in LOOKS and (card.model not in model_names() or has_look(card.model, card.look))


def load_rcan_for(card: StreamCard, weights: Path, *, device: str, precision: str) -> Rescaler:
    """RCAN of the scale of a stream.

    Raises:
        WeightsMismatch: the checkpoint is of another scale.
        MissingFile, BadWeights, BadOption: see `load_rcan`.
    """
    from irn_video.pipeline.engine.upscaling import load_rcan

    rescaler = load_rcan(weights, device=device, precision=precision)
    if rescaler.scale != card.scale:
        raise WeightsMismatch(
            f"RCAN of scale {rescaler.scale:g}, the stream is of scale {card.scale:g}",
            path=weights,
            hint="give the checkpoint for that scale, 2 or 4",
        )
    return rescaler


def _made_up_card(info: VideoInfo, options: RestoringOptions) -> StreamCard:
    rescaler: Rescaler
    if options.model is not None:
        rescaler = Rescaler.load(options.model, device="cpu")
    elif options.weights is not None:
        from irn_video.pipeline.engine.upscaling import load_rcan

        rescaler = load_rcan(Path(options.weights), device="cpu")
    else:
        raise MissingCard(
            "no stream card inside",
            path=info.path,
            hint="was it made by irn-send? else say which --model made it; irn-info says what it is",
        )
    return StreamCard(
        model=rescaler.name,
        model_sha256=rescaler.sha256,
        scale=rescaler.scale,
        width=enlarged(info.width, rescaler.scale),
        height=enlarged(info.height, rescaler.scale),
        pad_right=0,
        pad_bottom=0,
        layout=info.layout,
        bit_depth=info.bit_depth,
        color=info.color,
        codec=info.codec,
        crf=None,
        bitrate=None,
        lossless=False,
        latent_std=rescaler.temperature,
        seed=0,
        source_name="",
        source_bytes=0,
        source_sha256="",
        frames=None,
    )
