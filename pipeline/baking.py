"""What a stream brings along that a receiver can be made with once, for programs that do not read it themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from irn_video.codecs.bitstream.card import StreamCard, is_digest_of
from irn_video.codecs.errors import MissingCard, WeightsMismatch
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.network.constants import QP_STEPS
from irn_video.pipeline.restoring import check_size, restoration_of
from irn_video.pipeline.zoo.registry import load_weights
from irn_video.pipeline.zoo.weight_update import WeightUpdate
from numpy.typing import NDArray


@dataclass(frozen=True)
class Baked:
    """What one receiver has for a whole stream.

    Attributes:
        card: of the stream.
        qp: mean quantiser of its frames, in steps of 1/4.
        tuned: weights that came with it, for more than half of its frames; None where there are none such.
        frames: of the stream.
        fitting: those of them that irn-receive restores with the same weights.
    """

    card: StreamCard
    qp: float
    tuned: Mapping[str, NDArray[np.float32]] | None
    frames: int
    fitting: int


def bake(path: Path, name: str) -> Baked:
    """Decode a whole stream for its quantisers and weights.

    Tuned weights are one group of frames' own. What more than half of the frames go by is taken for all of them; where
    there is no such, the general network, since weights of one scene may do harm in another.

    Args:
        path: a stream made by irn-send.
        name: the network that it was made with, or its weights file.

    Raises:
        MissingFile, UnreadableVideo: see `VideoReader`.
        MissingCard, BadCard: there is no card, or none that fits.
        UnknownModel, BadWeights: see `load_weights`.
        WeightsMismatch: the stream was made with another network.
        BadUpdate: the weights that came with it are damaged.
    """
    card, weights = find_card(path), load_weights(name)
    if card is None:
        raise MissingCard("no stream card", path=path, hint="name a stream made by irn-send")
    if not is_digest_of(card.model_sha256, weights.sha256):
        raise WeightsMismatch(f"it was made with {card.model}, not {weights.card.name}", path=path)
    updates, quantisers = Counter[bytes](), list[float]()
    with VideoReader(path, quantiser=True) as reader:
        check_size(reader.info, card)
        for picture in reader:
            updates[picture.update] += 1
            if picture.qp is not None:
                quantisers.append(picture.qp)
    expected = restoration_of(card, temperature=0, seed=None).quantiser or 0.0
    mean = sum(quantisers) / len(quantisers) if quantisers else expected
    update, fitting = updates.most_common(1)[0]
    if 2 * fitting <= updates.total():
        update, fitting = b"", updates[b""]
    tuned = WeightUpdate.from_message(update, weights.arrays) if update else None
    return Baked(card, round(mean * QP_STEPS) / QP_STEPS, tuned, updates.total(), fitting)
