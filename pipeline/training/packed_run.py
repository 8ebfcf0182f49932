"""Train on prepared data with PyTorch alone; what train.sh of `packing` runs."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from irn_video.codecs.errors import IrnError
from irn_video.pipeline.engine.device import choose_device
from irn_video.pipeline.training.config import load_config
from irn_video.pipeline.training.distributed import joined_team, local_device
from irn_video.pipeline.training.packed import PackedGroups
from irn_video.pipeline.training.progress import Progress, progress_line
from irn_video.pipeline.training.run_options import RunOptions
from irn_video.pipeline.training.trainer import Trainer, use_all_cores


def main(arguments: Sequence[str] | None = None) -> int:
    """Train in the current folder; returns the exit code."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        _train(options)
    except IrnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; call again to go on", file=sys.stderr)
        return 130
    return 0


def _train(options: argparse.Namespace) -> None:
    config = load_config(options.config)
    device = choose_device(local_device(options.device), options.precision)
    minutes = options.minutes if options.minutes is not None or options.steps or config.steps else 60.0
    with joined_team(device.torch_device) as team:
        use_all_cores(team)
        trainer = Trainer(
            config,
            PackedGroups.open(options.data),
            options.out,
            minutes=minutes,
            steps=options.steps,
            options=RunOptions(device, options.compile, save_every=options.save_every, log_every=options.log_every),
            team=team,
        )

        def report(line: Progress) -> None:
            if team.leads:
                print(progress_line(line, trainer), file=sys.stderr)

        trainer.run(report)
        if team.leads:
            print(f"{options.out}: {trainer.step} steps in {trainer.seconds / 60:.0f} minutes")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train.sh", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("config.toml"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("run"), help="folder of the run; one found there is continued")
    parser.add_argument("--minutes", type=float, help="time budget, earlier runs included")
    parser.add_argument("--steps", type=int, help="budget in steps, earlier runs included")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="auto", help="auto, fp32, bf16 or fp16")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    parser.add_argument("--save-every", type=float, default=60.0, help="seconds between checkpoints")
    parser.add_argument("--log-every", type=int, default=50, help="steps between lines of the log")
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
