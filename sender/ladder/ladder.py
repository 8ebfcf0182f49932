"""Send a video as a ladder: each rung with `send`, then all in segments with the manifests that name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from irn_video.codecs.errors import GoalUnreachable
from irn_video.codecs.reading.inputs import as_file
from irn_video.codecs.reading.opening import open_input
from irn_video.codecs.writing.folder import MANIFEST, atomic_ladder
from irn_video.codecs.writing.manifests import Renditions, dash_manifest, hls_master
from irn_video.codecs.writing.segments import (
    AudioTrack,
    Track,
    VideoTrack,
    segment_audio,
    segment_video,
    write_subtitles,
)
from irn_video.pipeline.flow import Advance
from irn_video.sender.ladder.rungs import Rung, check_networks, common_options, rungs_below, top_rung
from irn_video.sender.options import SendOptions
from irn_video.sender.sending import SendResult, send


@dataclass(frozen=True)
class SentRung:
    """A rung.

    Attributes:
        track: its segments.
        result: of sending it.
        bandwidth, average_bandwidth: with its sound, as the master playlist has them; bit/s.
    """

    track: VideoTrack
    result: SendResult
    bandwidth: int
    average_bandwidth: int

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "name": self.track.name,
            "width": self.track.width,
            "height": self.track.height,
            "bandwidth": self.bandwidth,
            "average_bandwidth": self.average_bandwidth,
            "segments": len(self.track.sizes),
            "report": self.result.report.as_json(),
        }


@dataclass(frozen=True)
class LadderResult:
    """What was sent.

    Attributes:
        master: the master playlist.
        rungs: the highest rate first.
        sound, subtitles: how many tracks.
        warnings: of all rungs.
    """

    master: Path
    rungs: tuple[SentRung, ...]
    sound: int
    subtitles: int
    warnings: tuple[str, ...]

    @property
    def damage(self) -> str:
        """What was broken in the input, empty if nothing was."""
        return self.rungs[0].result.report.damage

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {"master": str(self.master), "rungs": [rung.as_json() for rung in self.rungs]}


def send_ladder(
    source: Path | str,
    master: Path | str,
    options: SendOptions | None = None,
    rungs: Sequence[Rung] | None = None,
    *,
    say: Callable[[str], None] | None = None,
    phase: Callable[[str], Advance] | None = None,
) -> LadderResult:
    """Send a video as several streams of different rates, with keyframes at the same times, for HLS and DASH.

    Args:
        source: any video that FFmpeg reads, see `as_file`.
        master: the HLS master playlist, `….m3u8`; beside it come an MPD and a folder of this name, see `atomic_ladder`.
        options: of all rungs. `crf` is that of the top rung, `keyint` or `keyint_seconds` the length of segments.
        rungs: None for plain H.264 at full size and, below, what is best at each half of the rate before.
        say: called with what was chosen for each rung.
        phase: called with what is done and takes its time; returns its `Advance`.

    Raises:
        IrnError: see its subclasses; nothing is left of a ladder that is not whole.
    """
    source, master, given = Path(source), Path(master), options or SendOptions()
    phase, say = phase or _unseen, say or _unsaid
    with (
        as_file(source, again=True, rate=given.rate) as source,
        atomic_ladder(master, [source], given.overwrite) as stage,
    ):
        common = replace(common_options(source, given, rungs), overwrite=True)
        check_networks(rungs or (), common)
        found: list[_Sent] = []

        def add(rung: Rung) -> None:
            path, advance = stage / f"{len(found)}.mp4", phase(f"sending rung {len(found) + 1}")
            found.append(_Sent(rung, send(source, path, rung.options(common), advance=advance, say=say, phase=phase)))

        for rung in rungs or (top_rung(given),):
            add(rung)
        with suppress(GoalUnreachable):  # of one that is below all others
            for rung in rungs_below(found[0].rate) if rungs is None else ():
                add(rung)
        phase("cutting segments")(0, None)
        found.sort(key=lambda sent: -sent.rate)
        renditions, warnings = _in_segments(found, stage, master.stem)
        (stage / master.with_suffix(MANIFEST).name).write_text(dash_manifest(renditions))
        (stage / master.name).write_text(hls_master(renditions))
    return LadderResult(
        master=master,
        rungs=tuple(
            SentRung(track, sent.result, renditions.bandwidth(track), renditions.average_bandwidth(track))
            for track, sent in zip(renditions.video, found, strict=True)
        ),
        sound=len(renditions.audio),
        subtitles=len(renditions.subtitles),
        warnings=tuple(dict.fromkeys((*(text for sent in found for text in sent.result.report.warnings), *warnings))),
    )


@dataclass(frozen=True)
class _Sent:
    """A rung before it is cut."""

    rung: Rung
    result: SendResult

    @property
    def path(self) -> Path:
        return self.result.written.path

    @property
    def rate(self) -> float:
        """Mean, in bit/s."""
        return self.result.written.video_bytes * 8 / self.result.written.seconds

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.rung.name or f"{self.result.card.lr_size[0]}p-{round(self.rate / 1000)}k"


def _in_segments(found: Sequence[_Sent], stage: Path, name: str) -> tuple[Renditions, list[str]]:
    """All tracks; sound and subtitles as they lie beside the first rung. Also what cannot go along."""
    folder, warnings = stage / name, list[str]()
    video, audio, texts = list[VideoTrack](), list[AudioTrack](), list[Track]()
    for sent in found:
        unique = sent.name if sent.name not in {track.name for track in video} else f"{sent.name}-{len(video)}"
        video.append(segment_video(sent.path, folder, unique))
    with open_input(found[0].path) as container:
        others = [(stream.index, stream.type) for stream in container.streams if stream.type in ("audio", "subtitle")]
    for index, kind in others:
        if kind == "audio":
            audio.append(segment_audio(found[0].path, index, folder, f"sound-{len(audio) + 1}", video[0]))
        elif (
            text := write_subtitles(found[0].path, index, folder, f"text-{len(texts) + 1}", video[0].seconds)
        ) is not None:
            texts.append(text)
        else:
            warnings.append(f"subtitle stream {index} is not text, and is not carried over")
    return Renditions(name, tuple(video), tuple(audio), tuple(texts)), warnings


def _unseen(_phase: str) -> Advance:
    return lambda _done, _total: None


def _unsaid(_text: str) -> None:
    return None
