"""The receiver of a codec-aware network as a user shader, for mpv and what else is built on libplacebo.

    LUMA     packed, kept; then made as large as it will be, by the player's own means
    CHROMA   local means ── convolutions ──> restored LR planes, mean of the latent
             wavelet, reversed ──> luma, kept; chroma, shown
    NATIVE   luma, shown

Luma comes before chroma in every player, and what the network says of it depends on chroma, so it is replaced where both
are together and still Y′CbCr. What is computed is what `onnx_export.py` does, with textures of 16-bit floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from irn_video.codecs.errors import BadOption
from irn_video.codecs.writing.output import atomic_path, check_output
from irn_video.pipeline.network.constants import DETAIL, fold_of
from irn_video.pipeline.zoo.card import Weights
from irn_video.pipeline.zoo.folding import condition_at, depth_of, modulation_of, of_cells
from irn_video.pipeline.zoo.glsl_layers import FEATURES, LUMA, Cells, Layer, local_means, packed_luma, tiled
from irn_video.pipeline.zoo.glsl_passes import CHANNELS, Array, Pass, Tiles
from irn_video.pipeline.zoo.glsl_wavelet import DETAILS, SHOWN, details_of, halves, thirds


@dataclass(frozen=True)
class Shown:
    """How a stream is shown.

    Attributes:
        size: width and height of its LR frames; None for any.
        crop: width and height of what is shown of the restored ones; None for all.
        sited: whether chroma lies on luma, across and down, and not between.
    """

    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    sited: tuple[bool, bool] = (True, False)


def shader_of(weights: Weights, qp: float, shown: Shown = Shown()) -> str:
    """The receiver of a codec-aware network at a quantiser.

    Raises:
        BadOption: a network of the paper's family.
    """
    card = weights.card
    if card.network.family != "codec-aware":
        raise BadOption(
            f"{card.name} is a network of the paper and works on RGB; only receivers of 4:2:0 are exported",
            hint="name a codec-aware network, such as irn-h264-x2",
        )
    scale, cells = card.network.scale, Cells(fold_of(card.network.scale))
    layers = _layers(weights.arrays, cells, scale, qp)
    when = "" if shown.size is None else "LUMA.w {} = LUMA.h {} = *".format(*shown.size)
    passes = [packed_luma(when), *([_enlarged(scale, when)] if scale > 1 else [])]
    passes.append(local_means(cells, f"CHROMA.w {LUMA}.w = CHROMA.h {LUMA}.h = *"))
    passes += [layer.computed(cells, DETAILS if layer is layers[-1] else FEATURES) for layer in layers]
    passes += [*_synthesis(cells, scale, weights.arrays, shown), _shown(scale, shown)]
    tables = [layer.table for layer in layers]
    about = f"// {card.name} for mpv and libplacebo, quantiser {qp:g}; irn-video {version('irn-video')}, {card.licence}\n"
    return "\n".join(map(str, (about, *tables, *passes)))


def _layers(arrays: Mapping[str, Array], cells: Cells, scale: float, qp: float) -> list[Layer]:
    """The network, with the quantiser folded into the weights."""
    condition = condition_at(arrays, np.array([qp], np.float32))
    width, order = arrays["restorer.last.weight"].shape[1], details_of(scale)
    wide = np.array([*range(width), *[-1] * (-width % CHANNELS)])

    def modulated(name: str, times: float = 1.0) -> tuple[Array, Array]:
        slope, constant = modulation_of(arrays, name, times)
        gain, shift = np.split((slope @ condition[0] + constant).astype(np.float32), 2)
        return arrays[f"restorer.{name}.conv.weight"] * np.float32(times) * gain[:, None, None, None], shift

    def layer(name: str, outputs: Array, features: Array, seen: Array, bias: Array, *, rectified: bool) -> Layer:
        """Kernels of features over `wide`, of what the first layer sees over its tiles; either may have no inputs."""
        weight = np.concatenate((features, seen), 1)
        return Layer(name, tiled(weight, outputs, 0), tiled(bias, outputs, 0), features.shape[1], rectified)

    def seen(name: str, times: float = 1.0) -> tuple[Array, Array]:
        weight, bias = modulated(name, times)
        return tiled(of_cells(weight, cells.fold), cells.order, 1), bias

    first, bias = seen("first")
    layers = [layer("first", wide, first[:, :0], first, bias, rectified=True)]
    for index in range(depth_of(arrays)):
        weight, bias = modulated(f"body.{index}")
        layers.append(layer(f"body{index}", wide, tiled(weight, wide, 1), first[:, :0], bias, rectified=True))
    shortcut, bias = seen("shortcut", DETAIL)
    weight = tiled(arrays["restorer.last.weight"] * np.float32(DETAIL), wide, 1)
    bias = bias + arrays["restorer.last.bias"] * np.float32(DETAIL)
    return [*layers, layer("last", order, weight, shortcut, bias, rectified=False)]


def _enlarged(scale: float, when: str) -> Pass:
    """Luma as large as it will be, so that chroma is scaled to that; what is shown if chroma is not 4:2:0."""
    code = "vec4 hook() { return HOOKED_tex(HOOKED_pos); }"
    return Pass("IRN: room", "LUMA", ("HOOKED",), code, (f"LUMA.w {scale:g} *", f"LUMA.h {scale:g} *"), when=when)


def _synthesis(cells: Cells, scale: float, arrays: Mapping[str, Array], shown: Shown) -> list[Pass]:
    """Full-size luma, kept, and chroma."""
    details = Tiles(DETAILS, len(details_of(scale)))
    if scale == 1:
        return _corrected(cells, details)
    across, down = (-0.25 * (scale - 1) if sited else 0.0 for sited in shown.sited)
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
    return Pass("IRN: shown", "NATIVE", ("HOOKED", SHOWN), code, crop)
