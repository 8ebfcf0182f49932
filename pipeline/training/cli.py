"""The command `irn-train`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from irn_video.pipeline.commands import run_command


@click.command(name="irn-train", context_settings={"max_content_width": 100})
@click.version_option(package_name="irn-video")
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--images",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of photographs, searched below too; may be given more than once.",
)
@click.option(
    "--clips", multiple=True, type=click.Path(path_type=Path), metavar="DIR", help="Folder of videos, likewise."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of this run; a run found there is continued.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(0.05),
    default=60,
    show_default=True,
    metavar="M",
    help="Time budget, earlier runs included; the learning rate falls to zero at its end.",
)
@click.option("--init", metavar="NAME|FILE", help="Start from these weights [default: untrained].")
@click.option("--nice", "polite", is_flag=True, help="Let everything else on this machine go first.")
def command(
    config: Path,
    images: tuple[Path, ...],
    clips: tuple[Path, ...],
    out: Path,
    minutes: float,
    init: str | None,
    polite: bool,
) -> None:
    """Train the network that CONFIG (TOML) describes, through the real x264.

    Writes DIR/NAME.safetensors, DIR/log.csv and a checkpoint; after Ctrl-C the same command goes on.
    """
    from irn_video.codecs.errors import MissingFile
    from irn_video.pipeline.training.config import load_config
    from irn_video.pipeline.training.sequences import SequenceSource, find_files
    from irn_video.pipeline.training.trainer import Progress, Trainer, lower_priority, use_all_cores
    from irn_video.pipeline.zoo import load_model

    settings = load_config(config)
    for folder in (*images, *clips):
        if not folder.is_dir():
            raise MissingFile("no such folder", path=folder)
    use_all_cores()
    if polite:
        lower_priority()
    source = SequenceSource(
        photos=find_files(images, photos=True),
        clips=find_files(clips, photos=False),
        clip_fraction=settings.clip_fraction,
    )
    initial = load_model(init).network.state_dict() if init else None
    trainer = Trainer(settings, source, out, minutes=minutes, initial=initial)

    def report(line: Progress) -> None:
        left = max(0.0, minutes * 60 - line.seconds)
        click.echo(
            f"step {line.step}: {line.quality:+.3f} {trainer.task.quality}, loss {line.loss:.4f}, "
            f"rate {line.learning_rate:.1e}, {line.waiting:.0%} waiting for data, {left / 60:.0f} min left",
            err=True,
        )

    trainer.run(report)
    path = out / f"{settings.name}.safetensors"
    digest = trainer.export(path)
    click.echo(f"{path}: {trainer.step} steps in {trainer.seconds / 60:.0f} minutes, weights {digest[:12]}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
