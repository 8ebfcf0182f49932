"""The receiver of a codec-aware network as a user shader, for mpv and what else is built on libplacebo.

    LUMA     packed, kept; then made as large as it will be, by the player's own means
    CHROMA   local means ── convolutions ──> restored LR planes, mean of the latent
             wavelet, reversed ──> luma, kept; chroma, shown
    NATIVE   luma, shown

Luma comes before chroma in every player, and what the network says of it depends on chroma, so it is replaced where
both are together and still Y′CbCr. What is computed is what `onnx_export.py` does, with textures of 16-bit floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from irn_video.codecs.bitstream.card import StreamCard
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import atomic_path, check_output
from irn_video.pipeline.network.constants import DETAIL, fold_of
from irn_video.pipeline.zoo.card import Weights
from irn_video.pipeline.zoo.folding import check_family, condition_at, depth_of, modulation_of, of_cells
from irn_video.pipeline.zoo.glsl_layers import FEATURES, LUMA, QUANTISER, Cells, Layer, local_means, packed_luma, tiled
from irn_video.pipeline.zoo.glsl_passes import CHANNELS, Array, Pass, Tiles
from irn_video.pipeline.zoo.glsl_wavelet import DETAILS, SHOWN, details_of, halves, thirds
from irn_video.pipeline.zoo.registry import find_model, load_weights

_MOST_QP = 51
# Of FFmpeg's AVChromaLocation; what is not said lies on the left, as H.264 has it.
_SITED = {1: (-1, 0), 2: (0, 0), 3: (-1, -1), 4: (0, -1), 5: (-1, 1), 6: (0, 1)}
_PARAMETER = f"""//!PARAM {QUANTISER}
//!DESC H.264 quantiser of the stream
//!TYPE float
//!MINIMUM 0
//!MAXIMUM {_MOST_QP}
26
"""
# Players stop at a texture that is not there, so there is always one, of a single texel where nothing is restored.
_NOTHING = Pass("IRN: nothing yet", "LUMA", (), "vec4 hook() { return vec4(0.0); }", ("1", "1"), SHOWN)


@dataclass(frozen=True)
class Shown:
    """How a stream is shown.

    Attributes:
        size: width and height of its LR frames; None for any.
        crop: width and height of what is shown of the restored ones; None for all.
        sited: where chroma lies between luma samples, across and down: −1 on the first, 0 between, 1 on the second.
    """

    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    sited: tuple[int, int] = (-1, 0)

    @property
    def when(self) -> str:
        """Where luma is what the shader is for."""
        return "" if self.size is None else "LUMA.w {} = LUMA.h {} = *".format(*self.size)

    @property
    def when_chroma(self) -> str:
        """Where chroma is, too."""
        half = f"CHROMA.w {LUMA}.w = CHROMA.h {LUMA}.h = *"
        return (
            half
            if self.size is None
            else "{} CHROMA.w {} = * CHROMA.h {} = *".format(half, *(n // 2 for n in self.size))
        )

    @classmethod
    def of(cls, card: StreamCard) -> Shown:
        """How a card says it."""
        height, width = card.lr_size
        padded = (card.pad_right, card.pad_bottom) != (0, 0)
        sited = _SITED.get(card.color.chroma_siting, _SITED[1])
        return cls((width, height), (card.width, card.height) if padded else None, sited)


def export_glsl(
    name: str,
    path: Path,
    *,
    qp: float | None = None,
    tuned: Mapping[str, Array] | None = None,
    shown: Shown | None = None,
    inputs: Sequence[Path] = (),
    overwrite: bool = False,
) -> int:
    """Write the receiver of a network, given by name or weights file; returns the size in bytes.

    Args:
        name: of the network.
        path: of the shader.
        qp: see `shader_of`.
        tuned: weights in the place of its own.
        shown: see `Shown`.
        inputs: files that must not be written over.
        overwrite: replace an existing file.

    Raises:
        UnknownModel, MissingFile, BadWeights: see `load_weights`.
        BadOption: see `shader_of`.
        OutputRefused, UnwritableOutput: see `atomic_path`.
    """
    file = find_model(name)
    check_output(path, [file, *inputs], overwrite)
    weights = load_weights(str(file))
    content = shader_of(weights if tuned is None else replace(weights, arrays=tuned), qp, shown or Shown()).encode()
    with atomic_path(path, [file, *inputs], overwrite) as temporary:
        temporary.write_bytes(content)
    return len(content)


def shader_of(weights: Weights, qp: float | None, shown: Shown) -> str:
    """The receiver of a codec-aware network.

    Args:
        weights: of the network.
        qp: H.264 quantiser, 0 to 51; None for a parameter of the shader, which not every player knows.
        shown: see `Shown`.

    Raises:
        BadOption: a network of the paper's family, or a quantiser out of range.
    """
    check_family(weights.card)
    if qp is not None and not 0 <= qp <= _MOST_QP:
        raise BadOption(f"H.264 has no quantiser {qp:g}", hint=f"0 to {_MOST_QP}")
    scale, cells = weights.card.network.scale, Cells(fold_of(weights.card.network.scale))
    layers = _layers(weights.arrays, cells, scale, qp)
    into = [FEATURES] * (len(layers) - 1) + [DETAILS]
    chroma = [local_means(cells), *(layer.computed(cells, save) for layer, save in zip(layers, into, strict=True))]
    chroma += _synthesis(cells, scale, weights.arrays, shown)
    passes = [_NOTHING, packed_luma(), *([_enlarged(scale, shown.when)] if scale > 1 else [])]
    passes += [*(replace(one, when=shown.when_chroma) for one in chroma), _shown(scale, shown)]
    parameters, tables = [_PARAMETER] if qp is None else [], [table for layer in layers for table in layer.tables]
    return "\n".join(map(str, (_about(weights, qp), *parameters, *tables, *passes)))


def _about(weights: Weights, qp: float | None) -> str:
    """A comment of one line, whatever the card holds."""
    card, said = weights.card, "its parameter" if qp is None else f"{qp:g}"
    words = f"{card.name}, quantiser: {said}. irn-video {version('irn-video')}, {card.licence}".split()
    return f"// {' '.join(words)}\n"


def _layers(arrays: Mapping[str, Array], cells: Cells, scale: float, qp: float | None) -> list[Layer]:
    """The network; a quantiser is folded into its weights."""
    quantisers = np.arange(_MOST_QP + 1) if qp is None else np.array([qp])
    conditions = condition_at(arrays, quantisers.astype(np.float32))
    width, order = arrays["restorer.last.weight"].shape[1], details_of(scale)
    wide = np.array([*range(width), *[-1] * (-width % CHANNELS)])

    def layer(name: str, outputs: Array, features: Array | None, seen: Array | None, times: float = 1.0) -> Layer:
        """Of kernels over `wide` and over what the first layer sees; what has both is modulated in these alone."""
        key = name if seen is None or features is None else "shortcut"
        slope, constant = modulation_of(arrays, key, times)
        gains, biases = np.split(np.einsum("nc,oc->no", conditions, slope) + constant, 2, 1)
        kernels = [tiled(features, wide, 1)] if features is not None else []
        kernels += [tiled(of_cells(seen, cells.fold), cells.order, 1)] if seen is not None else []
        if key != name:
            biases = biases + arrays["restorer.last.bias"] * np.float32(times)
        if qp is not None:
            kernels[-1] = kernels[-1] * gains[0, :, None, None, None]
        count = kernels[0].shape[1] if features is not None else 0
        return Layer(
            name,
            tiled(np.concatenate(kernels, 1), outputs, 0),
            tiled(gains, outputs, 1),
            tiled(biases, outputs, 1),
            features=count,
            steady=count if key != name else 0,
            rectified=key == name,
        )

    def weight(name: str, times: float = 1.0) -> Array:
        return arrays[f"restorer.{name}.weight"] * np.float32(times)

    body = [f"body.{index}" for index in range(depth_of(arrays))]
    return [
        layer("first", wide, None, weight("first.conv")),
        *(layer(name, wide, weight(f"{name}.conv"), None) for name in body),
        layer("last", order, weight("last", DETAIL), weight("shortcut.conv", DETAIL), DETAIL),
    ]


def _enlarged(scale: float, when: str) -> Pass:
    """Luma as large as it will be, so that chroma is scaled to that; what is shown if chroma is not 4:2:0."""
    code = "vec4 hook() { return HOOKED_tex(HOOKED_pos); }"
    return Pass("IRN: room", "LUMA", ("HOOKED",), code, (f"LUMA.w {scale:g} *", f"LUMA.h {scale:g} *"), when=when)


def _synthesis(cells: Cells, scale: float, arrays: Mapping[str, Array], shown: Shown) -> list[Pass]:
    """Full-size luma, kept, and chroma."""
    details = Tiles(DETAILS, len(details_of(scale)))
    if scale == 1:
        return _corrected(cells, details)
    # Small chroma lies amid the samples that it was made of, not where the player takes it to be.
    across, down = (0.25 * (scale - 1) * sited for sited in shown.sited)
    if scale == 1.5:
        return thirds(cells, details, arrays["wavelet.taps"], (across, down))
    return halves(cells, details, arrays["wavelet.taps"], int(scale).bit_length() - 1, (across, down))


def _corrected(cells: Cells, details: Tiles) -> list[Pass]:
    """At scale 1 there are only corrections."""
    functions = f"""
{cells.sizes}
{cells.samples}
{details.code}
vec4 hook() {{
    ivec2 at = ivec2(HOOKED_pos * HOOKED_size);
    int q = (at.y & 1) * 2 + (at.x & 1);"""
    luma = f"{functions}\n    return luma(at) + tile(q, at / 2);\n}}"
    chroma = f"""{functions}
    vec2 sum = chroma(at) + vec2(tile(4, at / 2)[q], tile(5, at / 2)[q]);
    return vec4(clamp(sum + 0.5, 0.0, 1.0), 0.0, 1.0);
}}"""
    bind = ("HOOKED", LUMA, DETAILS)
    return [
        Pass("IRN: luma, corrected", "CHROMA", bind, luma, save=SHOWN),
        Pass("IRN: chroma, corrected", "CHROMA", bind, chroma),
    ]


def _shown(scale: float, shown: Shown) -> Pass:
    """Luma in the place of the player's."""
    size = "HOOKED_size" if shown.crop is None else "vec2({}.0, {}.0)".format(*shown.crop)
    if scale == 1.5:
        luma = f"texelFetch({SHOWN}_raw, at / ivec2(3, 1), 0)[at.x % 3]"
    else:
        luma = f"texelFetch({SHOWN}_raw, at / 2, 0)[(at.y & 1) * 2 + (at.x & 1)]"
    code = f"""
vec4 hook() {{
    ivec2 at = ivec2(HOOKED_pos * {size});
    vec4 color = HOOKED_mul * texelFetch(HOOKED_raw, at, 0);
    color.x = clamp({luma} + 0.5, 0.0, 1.0);
    return color;
}}"""
    crop = None if shown.crop is None else (str(shown.crop[0]), str(shown.crop[1]))
    return Pass("IRN: shown", "NATIVE", ("HOOKED", SHOWN), code, crop, when=f"{SHOWN}.w 1 >")
