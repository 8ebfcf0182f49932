"""The command `irn-train`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from irn_video.pipeline.commandline.help import PlainCommand, option
from irn_video.pipeline.commandline.options import device_options
from irn_video.pipeline.commandline.running import run_command, warn

if TYPE_CHECKING:
    from irn_video.pipeline.training.config import TrainConfig
    from irn_video.pipeline.training.distributed import Team
    from irn_video.pipeline.training.packed import PackedGroups
    from irn_video.pipeline.training.run_options import RunOptions
    from irn_video.pipeline.training.sequences import SequenceSource

_FOLDER = click.Path(path_type=Path)


@dataclass(frozen=True)
class _Arguments:
    """What the command line says."""

    config: Path
    images: tuple[Path, ...]
    clips: tuple[Path, ...]
    data: Path | None
    out: Path
    minutes: float | None
    steps: int | None
    init: str | None
    polite: bool
    device: str
    precision: str
    compiled: bool
    save_every: float
    log_every: int
    validate: tuple[Path, ...]
    validate_every: float


@click.command(name="irn-train", cls=PlainCommand)
@click.version_option(package_name="irn-video")
@click.argument("config", type=_FOLDER)
@option(
    "--images",
    multiple=True,
    type=_FOLDER,
    metavar="DIR",
    help="Folder of photographs, searched below too; may be given more than once.",
)
@option("--clips", multiple=True, type=_FOLDER, metavar="DIR", help="Folder of videos, likewise.")
@option(
    "--data",
    type=_FOLDER,
    metavar="DIR",
    help="Prepared data instead of both; python -m irn_video.pipeline.commands.packing --help tells more.",
)
@option("--out", required=True, type=_FOLDER, metavar="DIR", help="Folder of this run; a run found there is continued.")
@option(
    "--minutes",
    type=click.FloatRange(0.05),
    metavar="M",
    help="Time budget, earlier runs included; a cosine schedule follows it where there are no steps [default: 60, or "
    "none where the number of steps is limited].",
)
@option(
    "--steps",
    type=click.IntRange(1),
    metavar="N",
    help="Budget in steps, earlier runs included; a run stopped and continued then equals one that was not [default: "
    "as CONFIG says].",
)
@option(
    "--init",
    metavar="NAME|FILE",
    help="Start from these weights; those of the paper's networks may have fewer blocks [default: untrained].",
)
@device_options
@option("--compile", "compiled", is_flag=True, help="Use torch.compile: minutes at the start, quicker steps.")
@option(
    "--save-every",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    metavar="S",
    help="Seconds between checkpoints.",
)
@option(
    "--log-every",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    metavar="N",
    help="Steps between lines of the log.",
)
@option(
    "--validate",
    multiple=True,
    type=_FOLDER,
    metavar="DIR",
    help="Folder of clips (codec-aware networks: real encodes, BD-rate against Lanczos) or of images (the paper's "
    "networks: PSNR) that are not trained on.",
)
@option(
    "--validate-every",
    type=click.FloatRange(0),
    default=20,
    show_default=True,
    metavar="M",
    help="Minutes between validations; there is one at the end too.",
)
@option("--nice", "polite", is_flag=True, help="Let everything else on this machine go first.")
def command(**options: Any) -> None:
    """Train the network that CONFIG (TOML) describes.

    Writes DIR/NAME.safetensors, DIR/log.csv and a checkpoint; after Ctrl-C or a crash the same command goes on. With
    several GPUs or machines: torchrun --nproc-per-node N -m irn_video.pipeline.commands.train CONFIG …
    """
    arguments = _Arguments(**options)
    from irn_video.pipeline.engine.device import choose_device
    from irn_video.pipeline.training.config import load_config
    from irn_video.pipeline.training.distributed import joined_team, local_device
    from irn_video.pipeline.training.run_options import RunOptions
    from irn_video.pipeline.training.trainer import lower_priority, use_all_cores

    config = load_config(arguments.config)
    source = _source(arguments, config)
    device = choose_device(local_device(arguments.device), arguments.precision)
    if arguments.polite:
        lower_priority()
    with joined_team(device.torch_device) as team:
        use_all_cores(team)
        if team.leads:
            if device.warning:
                warn(device.warning)
            click.echo(f"training on {device}" + (f", {team.size} processes" if team.size > 1 else ""), err=True)
        run = RunOptions(
            device=device,
            compiled=arguments.compiled,
            save_every=arguments.save_every,
            log_every=arguments.log_every,
            validate_every=arguments.validate_every * 60,
            validator=_validator(arguments, config) if team.leads else None,
        )
        _train(arguments, config, source, run, team)


def _train(
    arguments: _Arguments,
    config: TrainConfig,
    source: SequenceSource | PackedGroups,
    run: RunOptions,
    team: Team,
) -> None:
    from irn_video.pipeline.training.progress import progress_line
    from irn_video.pipeline.training.trainer import Trainer
    from irn_video.pipeline.zoo import load_model

    steps = arguments.steps or config.steps or None
    minutes = arguments.minutes if arguments.minutes is not None or steps else 60.0
    start = load_model(arguments.init) if arguments.init else None
    trainer = Trainer(config, source, arguments.out, minutes=minutes, steps=steps, start=start, options=run, team=team)
    trainer.run(lambda line: click.echo(progress_line(line, trainer), err=True) if team.leads else None)
    if team.leads:
        path = arguments.out / f"{config.name}.safetensors"
        digest = trainer.export(path)
        click.echo(f"{path}: {trainer.step} steps in {trainer.seconds / 60:.0f} minutes, weights {digest[:12]}")


def _source(arguments: _Arguments, config: TrainConfig) -> SequenceSource | PackedGroups:
    from irn_video.codecs.errors import BadOption, MissingFile
    from irn_video.pipeline.training.packed import PackedGroups

    if arguments.data is not None:
        if arguments.images or arguments.clips:
            raise BadOption("--data is instead of --images and --clips", hint="give either")
        return PackedGroups.open(arguments.data)
    from irn_video.pipeline.training.sequences import SequenceSource, find_files

    for folder in (*arguments.images, *arguments.clips, *arguments.validate):
        if not folder.is_dir():
            raise MissingFile("no such folder", path=folder)
    return SequenceSource(
        photos=find_files(arguments.images, photos=True),
        clips=find_files(arguments.clips, photos=False),
        clip_fraction=config.clip_fraction,
    )


def _validator(arguments: _Arguments, config: TrainConfig) -> Any:
    if not arguments.validate:
        return None
    from irn_video.pipeline.training.validation import make_validator

    def say(line: str) -> None:
        click.echo(line, err=True)

    return make_validator(config, arguments.validate, (*arguments.images, *arguments.clips), say)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
