"""The wavelets of a codec-aware receiver as compute passes of a user shader; `network/packed.py` says what they are.

A pass undoes all lifting steps along one axis, in 32 bits, on a strip of lines that a group of threads fetches once.
Beside the strip as much is computed as the steps reach. In textures samples are less 0.5, as everywhere in the shader.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from irn_video.pipeline.network.constants import LUMA as PHASES
from irn_video.pipeline.network.constants import PACKED, THIRDS_DETAIL, THIRDS_EDGE
from irn_video.pipeline.zoo.glsl_layers import LUMA, Cells
from irn_video.pipeline.zoo.glsl_passes import Array, Block, Pass, Tiles

DETAILS, SHOWN = "IRN_DETAILS", "IRN_SHOWN"
"""What the network gives, tile by tile; full-size luma less 0.5, where there is a wavelet."""
_ROWS, _CHROMA = "IRN_ROWS", "IRN_CHROMA"
_THREADS = 128
_KINDS = 5
"""Details of 3×3 samples."""


def details_of(scale: float) -> Array:
    """Which channel of what the network gives is where: corrections, then the latent; −1 for none, (tiles, 4)."""
    if scale < 2:
        tiles = _details_of_cells(thirds=scale > 1)
    else:
        tiles = [[0, 1, 2, 3]]
        levels = int(scale).bit_length() - 1
        for level in range(levels):  # the coarsest first; its channels come last
            places = 4**level
            before = PACKED + sum(3 * PACKED * 4**finer for finer in range(level + 1, levels))
            luma = np.arange(before, before + 3 * PHASES * places).reshape(3, PHASES, places)
            chroma = np.arange(before + luma.size, before + luma.size + 6 * places).reshape(6, places)
            tiles += luma.transpose(0, 2, 1).reshape(-1, PHASES).tolist()
            tiles += chroma[:4].T.tolist()
            tiles += [[PHASES, PHASES + 1, *chroma[4:, 0]]] if level == 0 else chroma[4:].T.reshape(-1, 4).tolist()
    return np.array([[*tile, *[-1] * (4 - len(tile))] for tile in tiles])


def _details_of_cells(*, thirds: bool) -> list[list[int]]:
    """Of cells of 2×2 packed samples: each place of luma, Cb, Cr; for details likewise, and the diagonal ones."""
    corrections = np.arange(PACKED * 4).reshape(PACKED, 4)
    tiles: list[list[int]] = [*corrections[:PHASES].T.tolist(), *corrections[PHASES:].tolist()]
    if thirds:
        first = PACKED * 4
        luma = np.arange(first, first + _KINDS * PHASES).reshape(_KINDS, PHASES)
        chroma = np.arange(first + luma.size, first + luma.size + 2 * _KINDS).reshape(_KINDS, 2)
        tiles += [*luma[:4].T.tolist(), luma[4].tolist(), *chroma[:4].T.tolist(), chroma[4].tolist()]
    return tiles


@dataclass(frozen=True)
class _Lines:
    """Lifting along one axis.

    Attributes:
        what: for people.
        down: along columns, else along rows.
        kind: GLSL's type of what is lifted alike.
        times: samples (averages and details counted once) for each of the packed picture, across and down.
        load: GLSL of a function that puts what is at a place into the arrays.
        store: GLSL of a function that writes two samples, or three.
        made: texels for each sample, across and down.
        bind: what they read, beside HOOKED.
        side: samples along each axis that are loaded at once.
        across: lines of a group.
        along: samples of each.
        save: see `Pass`.
        offset: likewise.
    """

    what: str
    down: bool
    kind: str
    times: tuple[Fraction, Fraction]
    load: str
    store: str
    made: tuple[int, int]
    bind: Sequence[str]
    side: int = 1
    across: int = 8
    along: int = 64
    save: str = ""
    offset: tuple[float, float] = (0, 0)

    def lifted(self, cells: Cells, details: Tiles, arrays: Sequence[str], steps: Sequence[str], taps: Array) -> Pass:
        """The pass: steps change the arrays at `i`, from those at `ahead(k)` and `behind(k)`."""
        reach = -(-len(steps) * (taps.shape[1] if len(arrays) == 2 else taps.shape[1] // 2) // 2) * 2
        tile, (x, y) = self.along + 2 * reach, ("y", "x") if self.down else ("x", "y")
        (wide, wider), (high, higher) = (time.as_integer_ratio() for time in self.times)
        lines = "".join(_step(step, tile * self.across, self.across) for step in steps)
        at = "ivec2(side + at.x, start + at.y)" if self.down else "ivec2(start + at.y, side + at.x)"
        results = ["s[i] + d[i]", "s[i] - d[i]"] if len(arrays) == 2 else ["one", "two", "three"]
        turned = "" if len(arrays) == 2 else _turned_back(self.kind)
        code = f"""
{cells.sizes}
{cells.samples if LUMA in self.bind else ""}
{details.code if DETAILS in self.bind else ""}

const float taps[{taps.size}] = float[]({", ".join(f"{tap:.9g}" for tap in taps.ravel())});
{"".join(f"shared {self.kind} {name}[{tile * self.across}];" for name in arrays)}
{self.load}
{self.store}

void hook() {{
    int thread = int(gl_LocalInvocationIndex);
    ivec2 size = places() * ivec2({wide}, {high}) / ivec2({wider}, {higher});
    int start = int(gl_WorkGroupID.{x}) * {self.along} - {reach}, side = int(gl_WorkGroupID.{y}) * {self.across};
    for (int block = thread; block < {tile * self.across // self.side**2}; block += {_THREADS}) {{
        ivec2 at = {self.side} * ivec2(block % {self.across // self.side}, block / {self.across // self.side});
        int i = at.y * {self.across} + at.x;
        load(clamp({at}, ivec2(0), size - {self.side}), i);
    }}
    int least = max(-start, 0), most = clamp(size.{x} - 1 - start, least, {tile - 1});
    {lines}
    barrier();
    for (int i = thread + {reach * self.across}; i < {(reach + self.along) * self.across}; i += {_THREADS}) {{
        ivec2 at = ivec2(i % {self.across}, i / {self.across});
        at = {at};
        {turned}
        if (all(lessThan(at, size))) store(at, {", ".join(results)});
    }}
}}"""
        made = [time * more for time, more in zip(self.times, self.made, strict=True)]
        sides = (self.across, self.along) if self.down else (self.along, self.across)
        block = Block(sides[0] * self.made[0], sides[1] * self.made[1], (_THREADS, 1))
        width, height = (f"CHROMA.{axis} {n.numerator} * {n.denominator} /" for axis, n in zip("wh", made, strict=True))
        bind = ("HOOKED", *self.bind)
        return Pass(f"IRN: {self.what}", "CHROMA", bind, code, (width, height), self.save, block, offset=self.offset)


def _step(change: str, count: int, across: int) -> str:
    return f"""
    barrier();
    for (int i = thread; i < {count}; i += {_THREADS}) {{
        int line = i % {across}, n = i / {across};
        #define ahead(k) (clamp(n + (k), least, most) * {across} + line)
        {change}
    }}"""


def _turned_back(kind: str) -> str:
    """`thirds.ThirdsSplit`'s last step."""
    return f"""
        {kind} mean = (s0[i] + s1[i]) * 0.5, edge = (s0[i] - s1[i]) * {0.25 / THIRDS_EDGE:.9g};
        {kind} detail = d[i] * {1 / (3 * THIRDS_DETAIL):.9g};
        {kind} one = mean - detail + edge, two = mean + 2.0 * detail, three = mean - detail - edge;"""


def halves(cells: Cells, details: Tiles, taps: Array, levels: int, offset: tuple[float, float]) -> list[Pass]:
    """By 2 along each axis, once or several times; the last pass gives chroma."""
    count = taps.shape[1]
    steps = []
    for step in reversed(range(len(taps))):
        changed, other = ("d", "s") if step % 2 == 0 else ("s", "d")
        at = f"taps[{step * count} + k - 1] * ({other}[ahead(k)] - {other}[ahead(-k)])"
        steps.append(f"for (int k = 1; k <= {count}; k++) {changed}[i] -= {at};")
    passes, tiles = [], 1
    for level in range(levels):
        last, places = level == levels - 1, 4**level
        lines = [
            _luma_down(level, tiles),
            _luma_across(level),
            _chroma_down(level, tiles + 3 * places),
            _chroma_across(level, "" if last else _CHROMA, offset if last else (0, 0)),
        ]
        passes += [line.lifted(cells, details, ("s", "d"), steps, taps) for line in lines]
        tiles += len(details_of(2)) - 1 if level == 0 else 0
    return passes


def _luma_down(level: int, tiles: int) -> _Lines:
    """From 2×2 averages a texel, and their details, to averages and horizontal details of two rows in a texel."""
    low = f"texelFetch({SHOWN}_raw, cell, 0)" if level else "luma(cell) + tile(0, cell)"
    place = "int q = (cell.y & 1) * 2 + (cell.x & 1); cell /= 2;" if level else "const int q = 0;"
    places = 4**level
    load = f"""
void load(ivec2 at, int i) {{
    ivec2 cell = at / 2;
    vec4 low = {low};
    {place}
    vec4 h = tile({tiles} + q, cell), v = tile({tiles + places} + q, cell), c = tile({tiles + 2 * places} + q, cell);
    for (int p = 0; p < 4; p++) {{
        int slot = i + (p >> 1) * 8 + (p & 1);
        s[slot] = vec2(low[p], h[p]);
        d[slot] = vec2(v[p], c[p]);
    }}
}}"""
    bind = (DETAILS, SHOWN) if level else (DETAILS, LUMA)
    return _Lines("luma, columns", True, "vec2", _same(2 << level), load, _TWO_ROWS, (1, 1), bind, side=2, save=_ROWS)


_TWO_ROWS = """
void store(ivec2 at, vec2 one, vec2 two) { imageStore(out_image, at, vec4(one.x, two.x, one.y, two.y)); }"""


def _luma_across(level: int) -> _Lines:
    """From that to 2×2 samples in a texel."""
    load = f"""
void load(ivec2 at, int i) {{
    vec4 rows = texelFetch({_ROWS}_raw, at, 0);
    s[i] = rows.xy;
    d[i] = rows.zw;
}}"""
    return _Lines("luma, rows", False, "vec2", _same(2 << level), load, _TWO_ROWS, (1, 1), (_ROWS,), save=SHOWN)


def _chroma_down(level: int, tiles: int) -> _Lines:
    """From averages and details to averages and horizontal details of Cb and Cr in a texel, twice as many rows."""
    if level:
        parts = f"""
    int q = (at.y & 1) * 2 + (at.x & 1);
    vec4 rest = tile({tiles + 4} + q / 2, at / 2), both = tile({tiles} + q, at / 2);
    vec2 low = texelFetch({_CHROMA}_raw, at, 0).xy, c = (q & 1) == 0 ? rest.xy : rest.zw;"""
    else:
        parts = f"""
    vec4 rest = tile({tiles + 1}, at), both = tile({tiles}, at);
    vec2 low = chroma(at) + rest.xy, c = rest.zw;"""
    load = f"""
void load(ivec2 at, int i) {{
    {parts.strip()}
    s[i] = vec4(low, both.xy);
    d[i] = vec4(both.zw, c);
}}"""
    store = """
void store(ivec2 at, vec4 one, vec4 two) {
    imageStore(out_image, at * ivec2(1, 2), one);
    imageStore(out_image, at * ivec2(1, 2) + ivec2(0, 1), two);
}"""
    bind = (DETAILS, _CHROMA) if level else (DETAILS, LUMA)
    return _Lines("chroma, columns", True, "vec4", _same(1 << level), load, store, (1, 2), bind, across=4, save=_ROWS)


def _chroma_across(level: int, save: str, offset: tuple[float, float]) -> _Lines:
    """From that to Cb and Cr in a texel."""
    load = f"""
void load(ivec2 at, int i) {{
    vec4 rows = texelFetch({_ROWS}_raw, at, 0);
    s[i] = rows.xy;
    d[i] = rows.zw;
}}"""
    value = "vec4({0}, 0.0, 1.0)" if save else "vec4(clamp({0} + 0.5, 0.0, 1.0), 0.0, 1.0)"
    store = f"""
void store(ivec2 at, vec2 one, vec2 two) {{
    imageStore(out_image, at * ivec2(2, 1), {value.format("one")});
    imageStore(out_image, at * ivec2(2, 1) + ivec2(1, 0), {value.format("two")});
}}"""
    times = (Fraction(1 << level), Fraction(2 << level))
    return _Lines("chroma, rows", False, "vec2", times, load, store, (2, 1), (_ROWS,), save=save, offset=offset)


def thirds(cells: Cells, details: Tiles, taps: Array, offset: tuple[float, float]) -> list[Pass]:
    """By 3/2 along each axis; the last pass gives chroma."""
    count, reach = taps.shape[1], taps.shape[1] // 2
    steps = []
    for step in reversed(range(len(taps))):
        at = f"float tap = taps[{step * count + reach} + k];"
        if step % 2 == 0:
            change = "d[i] -= tap * (s0[ahead(k)] + s1[ahead(-k)]);"
        else:
            change = "s0[i] -= tap * d[ahead(k)]; s1[i] -= tap * d[ahead(-k)];"
        steps.append(f"for (int k = -{reach}; k <= {reach}; k++) {{ {at} {change} }}")
    lines = [_luma_down_thirds(), _luma_across_thirds(), _chroma_down_thirds(), _chroma_across_thirds(offset)]
    return [line.lifted(cells, details, ("s0", "s1", "d"), steps, taps) for line in lines]


def _luma_down_thirds() -> _Lines:
    """From 2×2 averages a texel, and their details, to two averages and a horizontal detail of each of three rows."""
    load = """
void load(ivec2 at, int i) {
    int q = (at.y & 1) * 2 + (at.x & 1);
    vec4 low = luma(at) + tile(q, at / 2) + 0.5, sides = tile(6 + q, at / 2);
    s0[i] = vec3(low.xy, sides.z);
    s1[i] = vec3(low.zw, sides.w);
    d[i] = vec3(sides.xy, tile(10, at / 2)[q]);
}"""
    return _Lines(
        "luma, columns", True, "vec3", _same(1), load, _THREE_ROWS, (1, 3), (DETAILS, LUMA),
        across=4, along=32, save=_ROWS,
    )  # fmt: skip


_THREE_ROWS = """
void store(ivec2 at, vec3 one, vec3 two, vec3 three) {
    const vec3 grey = vec3(0.5, 0.5, 0.0);
    imageStore(out_image, at * ivec2(1, 3), vec4(one - grey, 0.0));
    imageStore(out_image, at * ivec2(1, 3) + ivec2(0, 1), vec4(two - grey, 0.0));
    imageStore(out_image, at * ivec2(1, 3) + ivec2(0, 2), vec4(three - grey, 0.0));
}"""


def _luma_across_thirds() -> _Lines:
    """From that to three samples of a row in a texel."""
    load = f"""
void load(ivec2 at, int i) {{
    vec3 row = texelFetch({_ROWS}_raw, at, 0).xyz;
    s0[i] = row.x + 0.5;
    s1[i] = row.y + 0.5;
    d[i] = row.z;
}}"""
    store = """
void store(ivec2 at, float one, float two, float three) {
    imageStore(out_image, at, vec4(vec3(one, two, three) - 0.5, 0.0));
}"""
    times = (Fraction(1), Fraction(3))
    return _Lines("luma, rows", False, "float", times, load, store, (1, 1), (_ROWS,), save=SHOWN)


def _chroma_down_thirds() -> _Lines:
    """Likewise of Cb and Cr, which take turns along the rows."""
    load = """
void load(ivec2 at, int i) {
    ivec2 cell = at / ivec2(2, 1);
    int plane = at.x & 1;
    vec4 low = tile(4 + plane, cell) + 0.5, sides = tile(11 + plane, cell);
    for (int q = 0; q < 4; q++) low[q] += chroma(2 * cell + ivec2(q & 1, q >> 1))[plane];
    s0[i] = vec3(low.xy, sides.z);
    s1[i] = vec3(low.zw, sides.w);
    d[i] = vec3(sides.xy, tile(13, cell)[plane]);
}"""
    times = (Fraction(1), Fraction(1, 2))
    return _Lines(
        "chroma, columns", True, "vec3", times, load, _THREE_ROWS, (1, 3), (DETAILS, LUMA),
        across=4, along=32, save=_ROWS,
    )  # fmt: skip


def _chroma_across_thirds(offset: tuple[float, float]) -> _Lines:
    """From that to Cb and Cr in a texel."""
    load = f"""
void load(ivec2 at, int i) {{
    ivec2 first = at * ivec2(2, 1);
    vec3 cb = texelFetch({_ROWS}_raw, first, 0).xyz, cr = texelFetch({_ROWS}_raw, first + ivec2(1, 0), 0).xyz;
    s0[i] = vec2(cb.x, cr.x) + 0.5;
    s1[i] = vec2(cb.y, cr.y) + 0.5;
    d[i] = vec2(cb.z, cr.z);
}}"""
    store = """
void store(ivec2 at, vec2 one, vec2 two, vec2 three) {
    imageStore(out_image, at * ivec2(3, 1), vec4(clamp(one, 0.0, 1.0), 0.0, 1.0));
    imageStore(out_image, at * ivec2(3, 1) + ivec2(1, 0), vec4(clamp(two, 0.0, 1.0), 0.0, 1.0));
    imageStore(out_image, at * ivec2(3, 1) + ivec2(2, 0), vec4(clamp(three, 0.0, 1.0), 0.0, 1.0));
}"""
    times = (Fraction(1, 2), Fraction(3, 2))
    return _Lines("chroma, rows", False, "vec2", times, load, store, (3, 1), (_ROWS,), offset=offset)


def _same(times: int) -> tuple[Fraction, Fraction]:
    return Fraction(times), Fraction(times)
