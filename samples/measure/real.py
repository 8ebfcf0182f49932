"""How real restored clips look: texture and flicker of the source's own beside VMAF, VMAF-NEG and PSNR-Y.

python samples/measure real CLIP... [--model irn-h264-x2 --model lanczos-x2 --model full] [--crf 27] [--look real]

A model is a network, a weights file, `lanczos-x2` and the like, or `full` for H.264 at full size; all at the same CRF,
x264 at preset medium. Ratios are of the source's own, 1 is as the source; see `pipeline/quality/realness.py`. With
`--peer MODEL` and several CRFs there are BD-rates against it. With `--classifier` the last table has the error of one
classifier for all clips together; see `classifier.py` there.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.pipeline.options import LatentOptions
from irn_video.pipeline.quality.classifier import STEPS, Crops, classifier_error, crops_of_files
from irn_video.pipeline.quality.curves import Curve, bd_rate
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.quality.metrics import metric_label
from irn_video.pipeline.quality.realness import measure_realness
from irn_video.pipeline.study.cells import encode_full_size
from irn_video.pipeline.study.methods import FULL
from irn_video.pipeline.zoo.looks import LOOKS
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

from measure.options import (
    check_clips,
    clips_argument,
    frames_option,
    json_options,
    markdown_option,
    models_option,
    numbers,
    write_json,
)
from measure.rates import MAX_CRF, PRESET, label_of, weights_file
from measure.tables import percent, table

_OF_FILES = ("vmaf", "vmaf_neg")
_RATED = ("psnr_y", *_OF_FILES)
_LEAST_POINTS = 3
_PAIRS = (2048, 1024)  # of each clip: seven have enough to learn from


@dataclass(frozen=True)
class Shown:
    """One clip restored one way.

    Attributes:
        clip, model: their names.
        crf: of the stream.
        temperature: of the latents, None for the network's own, or the look's.
        look: of the network, None for its own.
        kbps: of the stream's video packets.
        scores: by name, means over the frames or of all frames together; None where undefined.
    """

    clip: str
    model: str
    crf: float
    temperature: float | None
    kbps: float
    scores: dict[str, float | None]
    look: str | None = None

    @property
    def way(self) -> str:
        """Model, CRF and temperature, for people."""
        return f"{self.model}, CRF {self.crf:g}{self._at}"

    @property
    def method(self) -> str:
        """The same without the CRF."""
        return self.model + self._at

    @property
    def _at(self) -> str:
        look = f", {self.look}" if self.look else ""
        return look if self.temperature is None else f"{look}, temperature {self.temperature:g}"


@dataclass(frozen=True)
class Way:
    """How a clip is sent, and restored in one way after another: see `Shown`."""

    model: str
    crf: float
    shown: tuple[LatentOptions, ...]


def measure(clip: Path, way: Way, frames: int | None, pairs: tuple[int, int]) -> Iterator[tuple[Shown, Crops]]:
    """Sent once, restored at each temperature; with crops for a classifier, see `crops_of_files`."""
    with tempfile.TemporaryDirectory(prefix="real-") as folder:
        for latents, kbps, video in restored(clip, way, Path(folder), frames):
            by_frame = measure_files(video, clip, Path(folder), _OF_FILES)
            scores = {**_means(by_frame), **measure_realness(video, clip)}
            name, temperature, look = label_of(way.model), latents.temperature, latents.look
            shown = Shown(clip.name, name, way.crf, temperature, kbps, scores, look)
            yield shown, crops_of_files(video, clip, len(by_frame), pairs=pairs)


def measure_all(
    clips: Sequence[Path], way: Way, frames: int | None, steps: int | None
) -> tuple[list[Shown], dict[str, float | None]]:
    """One way on all clips, and the error of one classifier for all of them together, if there are `steps`."""
    found, crops = list[Shown](), dict[str, Crops]()
    pairs = _PAIRS if steps is not None else (0, 0)
    for clip in clips:
        click.echo(f"{clip.name}: {way.model}, CRF {way.crf:g}", err=True)
        for shown, own in measure(clip, way, frames, pairs):
            found.append(shown)
            crops[shown.way] = crops[shown.way] + own if shown.way in crops else own
    return found, {} if steps is None else {name: _error(name, both, steps) for name, both in crops.items()}


def _error(way: str, crops: Crops, steps: int) -> float | None:
    began = time.process_time()
    error = classifier_error(crops, steps)
    taken = time.process_time() - began
    told = "too little to learn from" if error is None else f"{error:.1f} % wrong"
    click.echo(f"{way}: classifier of {steps} steps, {told}, {taken:.0f} s of processor time", err=True)
    return error


def restored(clip: Path, way: Way, folder: Path, frames: int | None) -> Iterator[tuple[LatentOptions, float, Path]]:
    """What was asked for, kbit/s, and a video of the frames as they are shown, which is gone with the next one."""
    stream, video = folder / "stream.mkv", folder / "restored.mkv"
    encoder = EncoderSettings(crf=way.crf, preset=PRESET)
    if way.model == FULL:
        written = encode_full_size(clip, stream, encoder, frames)
        yield LatentOptions(), written.video_bytes * 8 / 1000 / written.seconds, stream
        return
    sent = send(clip, stream, SendOptions(model=way.model, frames=frames, overwrite=True, **asdict(encoder))).written
    for latents in way.shown:
        options = ReceiveOptions(
            model=weights_file(way.model), codec="ffv1", frames=frames, overwrite=True, **asdict(latents)
        )
        receive(stream, video, options)
        yield latents, sent.video_bytes * 8 / 1000 / sent.seconds, video


def _means(scores: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    return {name: _mean(frame[name] for frame in scores) for name in ("psnr_y", *_OF_FILES)}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def tables(shown: Sequence[Shown], errors: Mapping[str, float | None], *, markdown: bool) -> str:
    """A block for each clip and one of means over the clips that have a value; errors of the classifier by way."""
    names = list(shown[0].scores)
    head = ["kb/s", *map(metric_label, names)]
    clips, ways = (list(dict.fromkeys(getattr(one, what) for one in shown)) for what in ("clip", "way"))
    blocks = [[[clip, *head], *(_row(one.way, [one], names) for one in shown if one.clip == clip)] for clip in clips]
    if len(clips) > 1:
        means = [_row(way, [one for one in shown if one.way == way], names) for way in ways]
        blocks.append([[f"mean of {len(clips)} clips", *head], *means])
    if errors:
        of_all = [[way, "–" if error is None else f"{error:.1f}"] for way, error in errors.items()]
        blocks.append([["one classifier for all clips", "error, %"], *of_all])
    return "\n\n".join(table(block, markdown=markdown) for block in blocks)


def bd_table(shown: Sequence[Shown], peer: str, *, markdown: bool) -> str:
    """BD-rates of each method against a peer, by clip, and their means.

    Raises:
        BadOption: the peer was not measured.
    """
    methods, clips = (list(dict.fromkeys(getattr(one, what) for one in shown)) for what in ("method", "clip"))
    if peer not in methods:
        raise BadOption(f"{peer} was not measured", hint=f"one of {', '.join(methods)}")
    blocks = []
    for method in (method for method in methods if method != peer):
        lines = [[f"{method} against {peer}", *map(metric_label, _RATED)]]
        rates = [[_bd(shown, clip, (peer, method), metric) for metric in _RATED] for clip in clips]
        means = [None if None in column else sum(column) / len(column) for column in zip(*rates, strict=True)]
        for name, row in zip((*clips, "mean"), (*rates, means), strict=True):
            lines.append([name, *map(percent, row)])
        blocks.append(table(lines, markdown=markdown))
    return "\n\n".join(blocks)


def _bd(shown: Sequence[Shown], clip: str, methods: tuple[str, str], metric: str) -> float | None:
    of_clip = [one for one in shown if one.clip == clip]
    curves = (
        Curve.through((one.kbps, one.scores[metric] or 0.0) for one in of_clip if one.method == method)
        for method in methods
    )
    return bd_rate(*curves)


def _row(way: str, shown: Sequence[Shown], names: Sequence[str]) -> list[str]:
    values = [_mean(one.scores[name] for one in shown) for name in names]
    rate = statistics.fmean(one.kbps for one in shown)
    return [way, f"{rate:.0f}", *("–" if value is None else f"{value:.2f}" for value in values)]


def _temperatures(context: click.Context, option: click.Parameter, text: str | None) -> tuple[float | None, ...]:
    return (None,) if text is None else numbers(highest=10)(context, option, text)


@click.command()
@clips_argument
@models_option
@click.option("--crf", callback=numbers(highest=MAX_CRF), default="27", show_default=True, help="Of the streams.")
@click.option("--temperature", "temperatures", callback=_temperatures, metavar="A,B",
              help="Of the latents [default: the network's].")  # fmt: skip
@click.option("--look", "looks", multiple=True, type=click.Choice(list(LOOKS)),
              help="Show networks in this look; give it again for another.")  # fmt: skip
@click.option("--classifier", "steps", is_flag=False, flag_value=STEPS, type=click.IntRange(1), metavar="[STEPS]",
              help=f"Train one network for each way to tell restored crops of all clips from those of the source, and "
              f"give its error: 50 % cannot be told. Minutes for each [steps: {STEPS}].")  # fmt: skip
@click.option("--peer", metavar="MODEL", help="Give BD-rates of the others against this one; needs three CRFs or more.")
@frames_option
@json_options
@markdown_option
def command(
    clips: tuple[Path, ...],
    models: tuple[str, ...],
    crf: tuple[float, ...],
    temperatures: tuple[float | None, ...],
    looks: tuple[str, ...],
    steps: int | None,
    peer: str | None,
    frames: int | None,
    json_path: Path | None,
    overwrite: bool,
    markdown: bool,
) -> None:
    """How real CLIPS look, restored by each model at the same CRF: texture and flicker of the source's own."""
    check_clips(clips, json_path, overwrite=overwrite)
    if peer is not None and (peer not in models or len(crf) < _LEAST_POINTS):
        raise BadOption(f"BD-rates against {peer} need it among the models, and three CRFs", hint=f"--model {peer}")
    latents = tuple(LatentOptions(look=look, temperature=drawn) for look in looks or (None,) for drawn in temperatures)
    ways = [
        Way(model, one, (LatentOptions(),) if model == FULL or model in RESAMPLERS else latents)
        for model in dict.fromkeys(models)
        for one in crf
    ]
    shown, errors = list[Shown](), dict[str, float | None]()
    for way in ways:
        own, told = measure_all(clips, way, frames, steps)
        shown += own
        errors |= told
    if json_path is not None:
        found = {"schema": 1, "command": "real", "shown": [asdict(one) for one in shown]}
        write_json(json_path, {**found, "classifier": {"steps": steps, "errors": errors}}, clips, overwrite)
    click.echo(tables(shown, errors, markdown=markdown))
    if peer is not None:
        click.echo("\n" + bd_table(shown, label_of(peer), markdown=markdown))
