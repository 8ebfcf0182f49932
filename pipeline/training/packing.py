"""Training on a machine that has PyTorch and nothing else: no network, no PyAV, no OpenCV.

    python -m irn_video.pipeline.commands.packing pack CONFIG packed.tar --images DIR --clips DIR [--batches 2000]
    (there)  tar xf packed.tar && cd packed && ./train.sh --steps 20000
    python -m irn_video.pipeline.commands.packing unpack run.tar --out runs/mine
    irn-train CONFIG --images DIR --clips DIR --out runs/mine --steps 20000

`pack` makes the data here, with the real encoder, and puts it, the code and a script into one archive. `train.sh`
trains there (again after a stop: it goes on) and leaves `run.tar` with checkpoint and log; `unpack` puts those where
`irn-train` goes on from them, or, if the budget is used up, writes the weights. More data is better: a run that takes
more steps than there are batches meets them again, in another order.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from irn_video import codecs, pipeline
from irn_video.codecs.errors import MissingFile, OutputRefused, TrainingFailed
from irn_video.codecs.writing.output import atomic_path, check_output
from irn_video.pipeline.training.checkpoint import CHECKPOINT, LOG, load_checkpoint
from irn_video.pipeline.training.config import load_config
from irn_video.pipeline.training.packed import POOL_BATCHES, prepare
from irn_video.pipeline.training.sequences import SequenceSource, find_files
from irn_video.pipeline.training.tasks import make_task

_CONFIG = "config.toml"
_SCRIPT = """#!/bin/sh
# Train on the prepared data beside this script; called again it goes on. Options: ./train.sh --help
# With several GPUs: PROCESSES=4 ./train.sh (the configuration's `shards` must be a multiple of it)
cd "$(dirname "$0")" || exit 1
module=irn_video.pipeline.training.packed_run
if [ "${PROCESSES:-1}" -gt 1 ]; then
    torchrun --nproc-per-node "$PROCESSES" -m $module "$@"
else
    "${PYTHON:-python3}" -m $module "$@"
fi
code=$?
[ -f run/checkpoint.pt ] && tar cf run.tar run && echo "bring back: $(pwd)/run.tar"
exit $code
"""


def pack(
    config_path: Path,
    images: tuple[Path, ...],
    clips: tuple[Path, ...],
    out: Path,
    batches: int,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write the archive.

    Args:
        config_path: TOML, as `irn-train` takes it.
        images, clips: folders of photographs and of videos.
        out: the archive.
        batches: how many to prepare.
        say: is told how far it has come.

    Raises:
        MissingFile: a folder that is not there.
        TrainingFailed: nothing to prepare, or a configuration whose data cannot be.
        OutputRefused: the archive is there already.
    """
    config = load_config(config_path)
    for folder in (*images, *clips):
        if not folder.is_dir():
            raise MissingFile("no such folder", path=folder)
    photos, videos = find_files(images, photos=True), find_files(clips, photos=False)
    if not photos and not videos:
        raise TrainingFailed("no images and no clips to prepare", hint="give --images or --clips")
    if config.network.family == "codec-aware" and config.codec.sender != "fixed":
        raise TrainingFailed("the sender learns through the encoder itself, so its data cannot be prepared")
    check_output(out)
    task = make_task(config, SequenceSource(photos, videos, config.clip_fraction))
    pools = -(-batches // POOL_BATCHES)
    with tempfile.TemporaryDirectory(prefix="irn-pack-") as scratch:
        top = Path(scratch) / "packed"
        (top / "data").mkdir(parents=True)
        for done in prepare(task, config, top / "data", pools):
            say(f"{done * POOL_BATCHES} of {pools * config.shards * POOL_BATCHES} batches")
        _copy_code(top / "irn_video")
        shutil.copyfile(config_path, top / _CONFIG)
        (top / "train.sh").write_text(_SCRIPT)
        (top / "train.sh").chmod(0o755)
        with atomic_path(out) as part, tarfile.open(part, "w") as archive:
            archive.add(top, out.stem)


def unpack(result: Path, out: Path, *, overwrite: bool = False) -> int:
    """Put a checkpoint and its log into the folder of a run; returns its steps.

    Raises:
        MissingFile: there is no checkpoint in `result`.
        OutputRefused: the one that is there has taken as many steps or more.
    """
    with tempfile.TemporaryDirectory(prefix="irn-unpack-") as temporary:
        folder = result
        if not result.is_dir():
            folder = Path(temporary)
            _extract(result, folder)
        brought, present = load_checkpoint(folder), load_checkpoint(out)
        if brought is None:
            raise MissingFile("there is no checkpoint in it", path=result, hint="name the run.tar of train.sh")
        if present is not None and present["step"] >= brought["step"] and not overwrite:
            raise OutputRefused(
                f"its checkpoint has taken {present['step']} steps, the other {brought['step']}",
                path=out,
                hint="use --overwrite to replace it",
            )
        out.mkdir(parents=True, exist_ok=True)
        for name in (LOG, CHECKPOINT):
            if (folder / name).is_file():
                with atomic_path(out / name, overwrite=True) as part:
                    shutil.copyfile(folder / name, part)
    return int(brought["step"])


def _extract(archive: Path, folder: Path) -> None:
    """The two files by name, wherever they lie in the archive; nothing else is unpacked."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if name in (CHECKPOINT, LOG) and member.isfile() and (source := tar.extractfile(member)):
                    (folder / name).write_bytes(source.read())
    except (OSError, tarfile.TarError) as error:
        raise MissingFile(f"not an archive: {error}", path=archive, hint="name the run.tar of train.sh") from error


def _copy_code(folder: Path) -> None:
    """The two rooms that train, sources only."""
    for package in (codecs, pipeline):
        source = Path(next(iter(package.__path__)))
        shutil.copytree(
            source,
            folder / package.__name__.rpartition(".")[2],
            ignore=lambda where, names: (
                {n for n in names if Path(where, n).is_file() and not n.endswith(".py")} | {"__pycache__", "weights"}
            ),
        )
