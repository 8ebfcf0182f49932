"""The network of a codec-aware receiver as passes of a user shader.

All of it runs where chroma is, at the size of the cells: luma comes first in every player, so that only there both are
known. A layer is one compute pass. Its groups of threads fetch each texel of their cells and each weight once, and each
thread computes four cells of a row, of up to 16 channels.

Textures are of 16-bit floats, so samples are kept less 0.5, where their error is at most 0.03 levels of 255; sums are
in 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from irn_video.pipeline.network.basis import AROUND
from irn_video.pipeline.network.constants import PACKED
from irn_video.pipeline.zoo.glsl_passes import CHANNELS, Array, Block, Pass, Table, Tiles

LUMA, LOCAL, FEATURES = "IRN_LUMA", "IRN_LOCAL", "IRN_FEATURES"
"""Packed luma less 0.5, the local means less 0.5, what the last layer sees."""
QUANTISER = "qp"
"""Name of the parameter."""
_WIDE, _HIGH, _RUN, _MOST = 16, 8, 4, 4
"""Cells of a group; cells of a row, and tiles of outputs at most, of one thread."""
_STRIDE = 20
"""Of the rows that threads share: 18 are there, and so eight threads beside each other meet in no bank of memory."""


@dataclass(frozen=True)
class Cells:
    """How cells lie in the packed picture.

    Attributes:
        fold: packed samples of a cell along each axis, 1 or 2.
    """

    fold: int

    @property
    def order(self) -> Array:
        """Channels of what the first layer sees (see `folding.of_cells`), tile by tile; −1 for none, (tiles, 4)."""
        if self.fold == 1:
            return np.array(((0, 1, 2, 3), (4, 5, -1, -1), (6, 7, 8, -1)))
        samples = np.arange(PACKED * 4).reshape(PACKED, 4)
        return np.concatenate((samples[:4].T, samples[4:], ((24, 25, 26, -1),)))

    @property
    def sizes(self) -> str:
        """GLSL of functions that give the sizes of the packed picture and of that of the cells; HOOKED is chroma."""
        return f"""
ivec2 places() {{ return ivec2(HOOKED_size); }}
ivec2 cells() {{ return (places() + {self.fold - 1}) / {self.fold}; }}"""

    @property
    def samples(self) -> str:
        """GLSL of functions that give packed samples less 0.5; they need `LUMA`."""
        return f"""
vec4 luma(ivec2 at) {{ return texelFetch({LUMA}_raw, min(at, places() - 1), 0); }}
vec2 chroma(ivec2 at) {{ return HOOKED_mul * texelFetch(HOOKED_raw, min(at, places() - 1), 0).xy - 0.5; }}"""

    @property
    def seen(self) -> str:
        """GLSL of a function that gives what the first layer sees, in that order."""
        if self.fold == 1:
            return f"""
vec4 seen(int n, ivec2 at) {{
    return n == 0 ? luma(at) : n == 1 ? vec4(chroma(at), 0.0, 0.0) : texelFetch({LOCAL}_raw, at, 0);
}}"""
        return f"""
vec4 seen(int n, ivec2 at) {{
    if (n < 4) return luma(2 * at + ivec2(n & 1, n >> 1));
    if (n == 6) return texelFetch({LOCAL}_raw, at, 0);
    vec4 samples;
    for (int q = 0; q < 4; q++) samples[q] = chroma(2 * at + ivec2(q & 1, q >> 1))[n - 4];
    return samples;
}}"""

    def size(self, columns: int = 1, rows: int = 1) -> tuple[str, str]:
        """Of a texture of tiles; half a cell more where the last one is not whole, or would not be."""
        cells = "" if self.fold == 1 else " 1 + 2 /"
        return f"CHROMA.w{cells} {columns} *", f"CHROMA.h{cells} {rows} *"


def packed_luma() -> Pass:
    """Luma, 2×2 samples in a texel."""
    code = """
vec4 hook() {
    ivec2 at = 2 * ivec2(HOOKED_pos * HOOKED_size * 0.5), last = ivec2(HOOKED_size) - 1;
    vec4 samples;
    for (int p = 0; p < 4; p++) samples[p] = texelFetch(HOOKED_raw, min(at + ivec2(p & 1, p >> 1), last), 0).x;
    return HOOKED_mul * samples - 0.5;
}"""
    return Pass("IRN: luma", "LUMA", ("HOOKED",), code, ("LUMA.w 2 /", "LUMA.h 2 /"), LUMA)


def local_means(cells: Cells) -> Pass:
    """The means of each cell's surroundings, of what is inside the picture."""
    reach, fold = AROUND // 2, cells.fold
    across, down = _WIDE + 2 * reach, _HIGH + 2 * reach
    code = f"""
{cells.sizes}
{cells.samples}

shared vec3 means[{across * down}];

void hook() {{
    ivec2 origin = ivec2(gl_WorkGroupID.xy) * ivec2({_WIDE}, {_HIGH}) - {reach}, size = cells();
    for (int i = int(gl_LocalInvocationIndex); i < {across * down}; i += {_WIDE * _HIGH}) {{
        ivec2 at = clamp(origin + ivec2(i % {across}, i / {across}), ivec2(0), size - 1);
        vec3 sum = vec3(0.0);
        for (int q = 0; q < {fold * fold}; q++) {{
            ivec2 place = {fold} * at + ivec2(q % {fold}, q / {fold});
            sum += vec3(dot(luma(place), vec4(0.25)), chroma(place));
        }}
        means[i] = sum / {fold * fold}.0;
    }}
    barrier();
    ivec2 mine = ivec2(gl_LocalInvocationID.xy), at = origin + mine + {reach};
    vec4 sum = vec4(0.0);
    for (int y = 0; y < {AROUND}; y++) for (int x = 0; x < {AROUND}; x++) {{
        ivec2 near = origin + mine + ivec2(x, y);
        if (all(greaterThanEqual(near, ivec2(0))) && all(lessThan(near, size)))
            sum += vec4(means[(mine.y + y) * {across} + mine.x + x], 1.0);
    }}
    if (all(lessThan(at, size))) imageStore(out_image, at, vec4(sum.xyz / sum.w, 0.0));
}}"""
    block = Block(_WIDE, _HIGH, (_WIDE, _HIGH))
    return Pass("IRN: local means", "CHROMA", ("HOOKED", LUMA), code, cells.size(), LOCAL, block)


@dataclass(frozen=True)
class Layer:
    """A 3×3 convolution, zeros around the picture.

    Attributes:
        name: of its weights.
        weight: over the features, then over what the first layer sees, tile by tile, (outputs, inputs, 3, 3).
        gains: of each output, for quantisers 0, 1, 2 …, (n, outputs); one row where they are in the weights.
        biases: likewise.
        features: inputs that are features; the others are what the first layer sees.
        steady: inputs from the first that no gain applies to.
        rectified: and added to the features where it has any.
    """

    name: str
    weight: Array
    gains: Array
    biases: Array
    features: int
    steady: int
    rectified: bool

    @property
    def steered(self) -> bool:
        """By the parameter `QUANTISER`."""
        return len(self.gains) > 1

    @property
    def tables(self) -> tuple[Table, Table]:
        """Kernels, a row for each tile of inputs, in each the taps, in each the outputs; then what is by quantiser."""
        outputs, inputs = self.weight.shape[:2]
        kernels = self.weight.reshape(outputs // CHANNELS, CHANNELS, inputs // CHANNELS, CHANNELS, 9)
        rows = kernels.transpose(2, 4, 0, 3, 1).reshape(inputs // CHANNELS, -1, CHANNELS)
        steering = np.concatenate([self.gains, self.biases] if self.steered else [self.biases], 1)
        name = f"IRN_{self.name.replace('.', '_').upper()}"
        return Table(name, rows), Table(f"{name}_BY_QP", steering.reshape(len(steering), -1, CHANNELS))

    def computed(self, cells: Cells, save: str) -> Pass:
        """The pass that computes it."""
        outputs, inputs = (n // CHANNELS for n in self.weight.shape[:2])
        into, sees = Tiles(save, outputs), inputs * CHANNELS > self.features
        each = max(n for n in range(1, _MOST + 1) if outputs % n == 0)
        lanes, many = _WIDE // _RUN * _HIGH, outputs // each
        functions = [cells.sizes, *([Tiles(FEATURES, self.features // CHANNELS).code] if self.features else [])]
        functions += [cells.samples, cells.seen] if sees else []
        code = "\n".join((*functions, *self._steering(), self._hook(into, inputs, each, lanes * many)))
        bind = ["HOOKED", *(table.name for table in self.tables), *([FEATURES] if self.features else [])]
        bind += [LUMA, LOCAL] if sees else []
        block = Block(_WIDE * into.columns, _HIGH * into.rows, (lanes, many))
        return Pass(f"IRN: {self.name}", "CHROMA", bind, code, cells.size(into.columns, into.rows), save, block)

    def _hook(self, into: Tiles, inputs: int, each: int, threads: int) -> str:
        """GLSL: a group fetches tile by tile of its inputs and their kernels, and adds them up."""
        taps, across, down = 9 * CHANNELS * into.count, _WIDE + 2, _HIGH + 2
        features, apart = self.features // CHANNELS, _WIDE // _RUN
        fetched = "seen(n, at)" if not features else f"n < {features} ? tile(n, at) : seen(n - {features}, at)"
        fetched = "tile(n, at)" if features == inputs else fetched
        made = "max(sum, 0.0)" if self.rectified else "sum"
        made += " + tile(first + o, at)" if self.rectified and features else ""
        return f"""
shared vec4 inputs[{_STRIDE * down}];
shared vec4 kernels[{taps}];

void hook() {{
    int lane = int(gl_LocalInvocationID.x), first = int(gl_LocalInvocationID.y) * {each};
    int thread = int(gl_LocalInvocationIndex);
    ivec2 origin = ivec2(gl_WorkGroupID.xy) * ivec2({_WIDE}, {_HIGH}), size = cells();
    ivec2 mine = ivec2(lane % {apart}, lane / {apart});
    {self._prepared(threads)}
    vec4 sums[{_RUN * each}];
    for (int o = 0; o < {each}; o++)
        for (int c = 0; c < {_RUN}; c++) sums[o * {_RUN} + c] = bias(first + o);
    for (int n = 0; n < {inputs}; n++) {{
        barrier();
        for (int i = thread; i < {across * down}; i += {threads}) {{
            ivec2 place = ivec2(i % {across}, i / {across}), at = origin + place - 1;
            bool inside = all(greaterThanEqual(at, ivec2(0))) && all(lessThan(at, size));
            vec4 texel = vec4(0.0);
            if (inside) texel = {fetched};
            inputs[place.y * {_STRIDE} + place.x] = texel;
        }}
        for (int i = thread; i < {taps}; i += {threads}) kernels[i] = kernel(i, n);
        barrier();
        for (int tap = 0; tap < 9; tap++) {{
            int from = (mine.y + tap / 3) * {_STRIDE} + mine.x + tap % 3;
            for (int o = 0; o < {each}; o++) {{
                int k = (tap * {into.count} + first + o) * 4;
                mat4 weights = mat4(kernels[k], kernels[k + 1], kernels[k + 2], kernels[k + 3]);
                for (int c = 0; c < {_RUN}; c++) sums[o * {_RUN} + c] += weights * inputs[from + c * {apart}];
            }}
        }}
    }}
    for (int c = 0; c < {_RUN}; c++) {{
        ivec2 at = origin + mine + ivec2(c * {apart}, 0);
        if (any(greaterThanEqual(at, size))) continue;
        for (int o = 0; o < {each}; o++) {{
            vec4 sum = sums[o * {_RUN} + c];
            ivec2 place = ivec2((first + o) % {into.columns}, (first + o) / {into.columns});
            imageStore(out_image, at + place * size, {made});
        }}
    }}
}}"""

    def _prepared(self, threads: int) -> str:
        """GLSL that comes first: the gains of all outputs, fetched once."""
        outputs = len(self.weight) // CHANNELS
        return f"for (int i = thread; i < {outputs}; i += {threads}) gains[i] = by_qp(i);" if self.steered else ""

    def _steering(self) -> list[str]:
        """GLSL of functions that give biases and kernels."""
        (kernels, steering), outputs = self.tables, len(self.weight) // CHANNELS
        if not self.steered:
            return [f"""
vec4 bias(int at) {{ return texelFetch({steering.name}, ivec2(at, 0), 0); }}
vec4 kernel(int at, int n) {{ return texelFetch({kernels.name}, ivec2(at, n), 0); }}"""]  # fmt: skip
        last = len(self.gains) - 1
        return [f"""
shared vec4 gains[{outputs}];

vec4 by_qp(int at) {{
    float row = clamp({QUANTISER}, 0.0, {last}.0);
    vec4 below = texelFetch({steering.name}, ivec2(at, int(row)), 0);
    return mix(below, texelFetch({steering.name}, ivec2(at, min(int(row) + 1, {last})), 0), fract(row));
}}
vec4 bias(int at) {{ return by_qp({outputs} + at); }}
vec4 kernel(int at, int n) {{
    vec4 weights = texelFetch({kernels.name}, ivec2(at, n), 0);
    return n < {self.steady // CHANNELS} ? weights : weights * gains[at / {CHANNELS} % {outputs}];
}}"""]  # fmt: skip


def tiled(weight: Array, order: Array, axis: int) -> Array:
    """Channels along an axis in the order of tiles, zeros where there is none."""
    places = order.ravel()
    taken = np.take(weight, np.maximum(places, 0), axis)
    shape = [1] * weight.ndim
    shape[axis] = -1
    result: Array = taken * (places >= 0).reshape(shape).astype(weight.dtype)
    return result
