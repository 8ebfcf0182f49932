"""Ordinary resampling behind the interface of the rescalers."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from irn_video.codecs.kernels import RESAMPLERS
from irn_video.codecs.picture import Picture, Plane
from irn_video.codecs.resample import Resampler
from irn_video.codecs.scales import enlarged, shrunk
from irn_video.pipeline.engine.rescaler import Received, Rescaler, Restoration
from irn_video.pipeline.planes import Samples, convert, pad, resolved_color, to_picture, to_planes


class KernelRescaler(Rescaler):
    """Ordinary resampling, plane by plane, as a peer for the networks."""

    sha256 = ""

    def __init__(self, name: str) -> None:
        self.name = name
        kernel, self.scale = RESAMPLERS[name]
        self._resampler = Resampler(kernel)

    def carried(self, source: Samples, height: int) -> Samples:
        """Any samples."""
        return source

    def sent(self, source: Samples, *, lossless: bool, height: int) -> Samples:
        """Any samples."""
        return replace(source, color=resolved_color(source.color, height))

    def downscale(self, picture: Picture, lr: Samples, qp: float | None = None) -> Picture:
        """Resample with an antialiased kernel."""
        picture = convert(picture, lr)
        height, width = self.padded(picture.height, picture.width)
        planes = pad(to_planes(picture), picture.layout, height, width)
        padded = to_picture(planes, lr, picture) if (height, width) != (picture.height, picture.width) else picture
        return self._resized(padded, shrunk(height, self.scale), shrunk(width, self.scale))

    def predict(self, picture: Picture, to: Restoration) -> Received:
        """Nothing to predict."""
        return Received(picture, None)

    def reverse(self, received: Received, to: Restoration, index: int = 0) -> Picture:
        """Resample to the padded size, then crop."""
        picture = self._whole(received.picture)
        large = self._resized(picture, enlarged(picture.height, self.scale), enlarged(picture.width, self.scale))
        shapes = picture.layout.plane_shapes(to.height, to.width)
        planes = tuple(p[:h, :w] for p, (h, w) in zip(large.planes, shapes, strict=True))
        return convert(replace(large, planes=cast("tuple[Plane, Plane, Plane]", planes)), to.samples)

    def _whole(self, picture: Picture) -> Picture:
        """Edges repeated, see `padded_lr`."""
        height, width = self.padded_lr(picture.height, picture.width)
        if (height, width) == (picture.height, picture.width):
            return picture
        planes = pad(to_planes(picture), picture.layout, height, width)
        return to_picture(planes, Samples.of(picture), picture)

    def _resized(self, picture: Picture, height: int, width: int) -> Picture:
        shapes = picture.layout.plane_shapes(height, width)
        a, b, c = (
            self._resampler.resize(p, h, w, picture.bit_depth) for p, (h, w) in zip(picture.planes, shapes, strict=True)
        )
        return replace(picture, planes=(a, b, c))
