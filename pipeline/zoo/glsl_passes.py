"""What user shaders are made of, as mpv and libplacebo take them: passes, tables, textures of tiles.

A pass is a fragment shader, which gives one texel of four numbers, or a compute shader, whose groups of threads share
what they fetch and write several texels. See mpv's manual, OPTIONS, --glsl-shaders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
CHANNELS = 4
"""Of a texel."""


@dataclass(frozen=True)
class Block:
    """What a group of threads does.

    Attributes:
        width: of the texels that it writes.
        height: likewise.
        threads: across and down.
    """

    width: int
    height: int
    threads: tuple[int, int]


@dataclass(frozen=True)
class Pass:
    """One pass.

    Attributes:
        what: for people.
        hook: the stage that it runs at: LUMA, CHROMA or NATIVE.
        bind: textures that it reads.
        code: GLSL with a function `hook`.
        size: width and height of what it makes, in reverse Polish notation; None for those of the stage's texture.
        save: its name; empty where it replaces the stage's texture.
        block: None for a fragment shader.
        when: only where this, in reverse Polish notation, is not zero.
        offset: by which the samples are shifted, in their own distance.
    """

    what: str
    hook: str
    bind: Sequence[str]
    code: str
    size: tuple[str, str] | None = None
    save: str = ""
    block: Block | None = None
    when: str = ""
    offset: tuple[float, float] = (0, 0)

    def __str__(self) -> str:
        lines = [f"HOOK {self.hook}", *(f"BIND {name}" for name in self.bind), f"DESC {self.what}"]
        if self.save:
            lines += [f"SAVE {self.save}", f"COMPONENTS {CHANNELS}"]
        if self.size is not None:
            lines += [f"WIDTH {self.size[0]}", f"HEIGHT {self.size[1]}"]
        if self.when:
            lines.append(f"WHEN {self.when}")
        if any(self.offset):
            lines.append("OFFSET {:g} {:g}".format(*self.offset))
        if self.block is not None:
            across, down = self.block.threads
            lines.append(f"COMPUTE {self.block.width} {self.block.height} {across} {down}")
        header = "".join(f"//!{line}\n" for line in lines)
        return f"{header}\n{self.code.strip()}\n"


@dataclass(frozen=True)
class Table:
    """Numbers that come with the shader, as a texture.

    Attributes:
        name: under which passes bind it.
        texels: (height, width, 4).
    """

    name: str
    texels: Array

    def __str__(self) -> str:
        height, width, _ = self.texels.shape
        header = f"//!TEXTURE {self.name}\n//!SIZE {width} {height}\n//!FORMAT rgba32f\n//!FILTER NEAREST\n"
        return f"{header}{self.texels.astype('<f4').tobytes().hex()}\n"


@dataclass(frozen=True)
class Tiles:
    """A texture that is a grid of tiles, each as large as the picture of the cells.

    Attributes:
        name: of the texture.
        count: of its tiles.
    """

    name: str
    count: int

    @property
    def columns(self) -> int:
        """Of tiles: as near a square as can be."""
        return min((n for n in range(1, self.count + 1) if self.count % n == 0), key=lambda n: abs(n * n - self.count))

    @property
    def rows(self) -> int:
        """Likewise."""
        return self.count // self.columns

    @property
    def code(self) -> str:
        """GLSL of a function that gives a texel of a tile; it needs a function `cells`."""
        return f"""
vec4 tile(int n, ivec2 at) {{
    return texelFetch({self.name}_raw, at + ivec2(n % {self.columns}, n / {self.columns}) * cells(), 0);
}}"""
