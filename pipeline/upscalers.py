"""Which rescaler restores an LR stream: the network its card names, or what is to be compared with it."""

from __future__ import annotations

from pathlib import Path

from irn_video.codecs.bitstream.card import StreamCard, is_digest_of
from irn_video.codecs.errors import BadCard, BadOption, MissingCard, UnknownModel, WeightsMismatch
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import VideoInfo
from irn_video.pipeline.engine.rescaler import Rescaler
from irn_video.pipeline.engine.upscaling import load_rcan
from irn_video.pipeline.restoring import check_size

UPSCALERS = ("model", "lanczos", "bicubic", "rcan")


def check_upscaler(upscaler: str, weights: Path | None) -> None:
    """Refuse an upscaler that is not in `UPSCALERS`, or weights without RCAN.

    Raises:
        BadOption: says which.
    """
    if upscaler not in UPSCALERS:
        raise BadOption(f"no upscaler {upscaler!r}", hint=", ".join(UPSCALERS))
    if (upscaler == "rcan") != (weights is not None):
        raise BadOption("the upscaler rcan and its weights go together", hint="--upscaler rcan --weights RCAN_BIX2.pt")


def check_temperature(temperature: float | None) -> None:
    """Refuse a temperature out of range.

    Raises:
        BadOption: it is below 0 or above 10.
    """
    if temperature is not None and not 0 <= temperature <= 10:
        raise BadOption(f"a temperature of {temperature:g} makes no sense", hint="0 (the mean) to 1; at most 10")


def card_for(info: VideoInfo, model: str | None, weights: Path | None) -> StreamCard:
    """The card of a stream, or one made up for a stream that has lost its own: no padding, the LR stream's samples.

    Args:
        info: of the LR stream.
        model: a network, for a stream without a card.
        weights: of RCAN, likewise.

    Raises:
        MissingCard: there is none, and neither a model nor weights.
        BadCard: it cannot be read, or does not fit the stream.
        UnknownModel, BadWeights, MissingFile: see `Rescaler.load` and `load_rcan`.
    """
    card = find_card(info.path, stream=info.stream) or _made_up_card(info, model, weights)
    check_size(info, card)
    return card


def rescaler_for(
    card: StreamCard, *, upscaler: str, model: str | None, weights: Path | None, device: str, precision: str
) -> Rescaler:
    """What restores a stream.

    Args:
        card: of the stream.
        upscaler: one of `UPSCALERS`, see `check_upscaler`.
        model: see `load_for`.
        weights: of RCAN.
        device: see `choose_device`.
        precision: likewise.

    Raises:
        WeightsMismatch, BadCard, UnknownModel, BadWeights, MissingFile, BadOption: see `load_for`, `load_rcan_for`.
    """
    if upscaler == "model":
        return load_for(card, model, device=device, precision=precision)
    if weights is not None:
        return load_rcan_for(card, weights, device=device, precision=precision)
    return Rescaler.load(f"{upscaler}-x{card.scale}")


def load_for(card: StreamCard, name: str | None, *, device: str, precision: str) -> Rescaler:
    """The rescaler that restores a stream.

    Args:
        card: of the stream.
        name: a network to use in place of the one the card names: it must have the same weights.

    Raises:
        WeightsMismatch: these are not the weights that made the stream.
        BadCard: the card names a file: what is read here is not for a stream to say.
        UnknownModel, BadWeights, MissingFile, BadOption: see `Rescaler.load`.
    """
    if name is None and (Path(card.model).suffix == ".safetensors" or Path(card.model).name != card.model):
        raise BadCard("the stream card names a file as its model", hint="give the weights with --model FILE")
    try:
        rescaler = Rescaler.load(name or card.model, device=device, precision=precision)
    except UnknownModel as error:
        if name is not None:
            raise
        raise UnknownModel(
            f"the network that made this stream, {card.model!r}, is not here", hint="give it with --model FILE"
        ) from error
    if not is_digest_of(card.model_sha256, rescaler.sha256) or rescaler.scale != card.scale:
        raise WeightsMismatch(
            f"{rescaler.name} has other weights ({rescaler.sha256[:12] or 'none'}) than the network that made this "
            f"stream ({card.model} {card.model_sha256[:12] or 'none'})",
            hint="give those weights with --model FILE",
        )
    return rescaler


def load_rcan_for(card: StreamCard, weights: Path, *, device: str, precision: str) -> Rescaler:
    """RCAN of the scale of a stream.

    Raises:
        WeightsMismatch: the checkpoint is of another scale.
        MissingFile, BadWeights, BadOption: see `load_rcan`.
    """
    rescaler = load_rcan(weights, device=device, precision=precision)
    if rescaler.scale != card.scale:
        raise WeightsMismatch(
            f"RCAN of scale {rescaler.scale}, the stream is of scale {card.scale}",
            path=weights,
            hint="give the checkpoint for that scale, 2 or 4",
        )
    return rescaler


def _made_up_card(info: VideoInfo, model: str | None, weights: Path | None) -> StreamCard:
    if model is not None:
        rescaler = Rescaler.load(model, device="cpu")
    elif weights is not None:
        rescaler = load_rcan(weights, device="cpu")
    else:
        raise MissingCard(
            "no stream card inside", path=info.path, hint="was it made by irn-send? else say which --model made it"
        )
    return StreamCard(
        model=rescaler.name,
        model_sha256=rescaler.sha256,
        scale=rescaler.scale,
        width=info.width * rescaler.scale,
        height=info.height * rescaler.scale,
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
