"""How real restored clips look: texture and flicker of the source's own beside VMAF, VMAF-NEG and PSNR-Y.

python samples/measure real CLIP... [--model irn-h264-x2 --model lanczos-x2 --model full] [--crf 27] [--temperature 0,1]

A model is a network, a weights file, `lanczos-x2` and the like, or `full` for H.264 at full size; all at the same CRF,
x264 at preset medium. Ratios are of the source's own, 1 is as the source; see `pipeline/quality/realness.py`.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from irn_video.codecs.encoders import EncoderSettings
from irn_video.codecs.errors import BadOption
from irn_video.codecs.kernels import RESAMPLERS
from irn_video.codecs.writing.output import check_output
from irn_video.pipeline.quality.libvmaf import measure_files
from irn_video.pipeline.quality.metrics import metric_label
from irn_video.pipeline.quality.realness import measure_realness
from irn_video.pipeline.study.cells import encode_full_size
from irn_video.pipeline.study.methods import FULL
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

from measure.options import (
    clips_argument,
    frames_option,
    json_options,
    markdown_option,
    models_option,
    numbers,
    write_json,
)
from measure.rates import MAX_CRF, PRESET, label_of, weights_file
from measure.tables import table

_OF_FILES = ("vmaf", "vmaf_neg")


@dataclass(frozen=True)
class Shown:
    """One clip restored one way.

    Attributes:
        clip, model: their names.
        crf: of the stream.
        temperature: of the latents, None for the network's own.
        kbps: of the stream's video packets.
        scores: by name, means over the frames or of all frames together; None where undefined.
    """

    clip: str
    model: str
    crf: float
    temperature: float | None
    kbps: float
    scores: dict[str, float | None]

    @property
    def way(self) -> str:
        """Model, CRF and temperature, for people."""
        at = "" if self.temperature is None else f", temperature {self.temperature:g}"
        return f"{self.model}, CRF {self.crf:g}{at}"


@dataclass(frozen=True)
class Way:
    """How a clip is sent and restored: see `Shown`."""

    model: str
    crf: float
    temperatures: tuple[float | None, ...]


def measure(clip: Path, way: Way, frames: int | None) -> Iterator[Shown]:
    """Sent once, restored at each temperature."""
    with tempfile.TemporaryDirectory(prefix="real-") as folder:
        for temperature, kbps, video in restored(clip, way, Path(folder), frames):
            scores = {**_means(measure_files(video, clip, Path(folder), _OF_FILES)), **measure_realness(video, clip)}
            yield Shown(clip.name, label_of(way.model), way.crf, temperature, kbps, scores)


def restored(clip: Path, way: Way, folder: Path, frames: int | None) -> Iterator[tuple[float | None, float, Path]]:
    """Temperature, kbit/s, and a video of the frames as they are shown, which is gone with the next one."""
    stream, video = folder / "stream.mkv", folder / "restored.mkv"
    encoder = EncoderSettings(crf=way.crf, preset=PRESET)
    if way.model == FULL:
        written = encode_full_size(clip, stream, encoder, frames)
        yield None, written.video_bytes * 8 / 1000 / written.seconds, stream
        return
    sent = send(clip, stream, SendOptions(model=way.model, frames=frames, overwrite=True, **asdict(encoder))).written
    for temperature in way.temperatures:
        options = ReceiveOptions(
            model=weights_file(way.model), temperature=temperature, codec="ffv1", frames=frames, overwrite=True
        )
        receive(stream, video, options)
        yield temperature, sent.video_bytes * 8 / 1000 / sent.seconds, video


def _means(scores: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    return {name: _mean(frame[name] for frame in scores) for name in ("psnr_y", *_OF_FILES)}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def tables(shown: Sequence[Shown], *, markdown: bool) -> str:
    """A block for each clip and one of means over the clips that have a value."""
    names = list(shown[0].scores)
    head = ["kb/s", *map(metric_label, names)]
    clips, ways = (list(dict.fromkeys(getattr(one, what) for one in shown)) for what in ("clip", "way"))
    blocks = [[[clip, *head], *(_row(one.way, [one], names) for one in shown if one.clip == clip)] for clip in clips]
    if len(clips) > 1:
        means = [_row(way, [one for one in shown if one.way == way], names) for way in ways]
        blocks.append([[f"mean of {len(clips)} clips", *head], *means])
    return "\n\n".join(table(block, markdown=markdown) for block in blocks)


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
@frames_option
@json_options
@markdown_option
def command(
    clips: tuple[Path, ...],
    models: tuple[str, ...],
    crf: tuple[float, ...],
    temperatures: tuple[float | None, ...],
    frames: int | None,
    json_path: Path | None,
    overwrite: bool,
    markdown: bool,
) -> None:
    """How real CLIPS look, restored by each model at the same CRF: texture and flicker of the source's own."""
    if len({clip.name for clip in clips}) < len(clips):
        raise BadOption("two clips have the same name", hint="rename one")
    if json_path is not None:
        check_output(json_path, clips, overwrite)
    ways = [
        Way(model, one, (None,) if model == FULL or model in RESAMPLERS else temperatures)
        for model in dict.fromkeys(models)
        for one in crf
    ]
    shown = list[Shown]()
    for clip in clips:
        for way in ways:
            click.echo(f"{clip.name}: {way.model}, CRF {way.crf:g}", err=True)
            shown += measure(clip, way, frames)
    if json_path is not None:
        found = {"schema": 1, "command": "real", "shown": [asdict(one) for one in shown]}
        write_json(json_path, found, clips, overwrite)
    click.echo(tables(shown, markdown=markdown))
