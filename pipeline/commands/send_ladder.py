"""`irn-send` to a master playlist: a ladder for HLS and DASH."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from irn_video.pipeline.commandline.several import Job, check_undamaged
from irn_video.pipeline.commandline.talk import Talk

if TYPE_CHECKING:
    from irn_video.sender.options import SendOptions


def send_as_ladder(job: Job, options: SendOptions, ladder: str | None, talk: Talk) -> None:
    """Send one video as a ladder and say how it went.

    Args:
        job: the output is the master playlist.
        options: of all rungs.
        ladder: what `--ladder` says.
        talk: how much is said.

    Raises:
        IrnError: see `send_ladder`.
    """
    from irn_video.sender.ladder.ladder import send_ladder
    from irn_video.sender.ladder.rungs import AUTO, read_ladder

    rungs = None if ladder in (None, AUTO) else read_ladder(Path(ladder))
    with talk.phases() as phase:
        sent = send_ladder(job.source, job.output, options, rungs, say=talk.say, phase=phase)
    for text in sent.warnings:
        talk.warn(text)
    for rung in sent.rungs:
        track, card = rung.track, rung.result.card
        talk.tell(
            f"{track.name}: {card.width}x{card.height} sent as {track.width}x{track.height} with {card.model}, "
            f"{rung.average_bandwidth / 1000:.0f} kb/s with sound, at most {rung.bandwidth / 1000:.0f}"
        )
    count, segments = len(sent.rungs), len(sent.rungs[0].track.sizes)
    talk.tell(f"{sent.master}: {count} rungs of {segments} segments, sound: {sent.sound}, subtitles: {sent.subtitles}")
    if talk.as_json:
        click.echo(json.dumps(sent.as_json(), indent=1))
    check_undamaged(sent, job.source)
