"""Words that the shell completes: names of networks, codecs, presets, tunings and metrics, by the option they follow.

Nothing heavy is imported before a word is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import click
from click.shell_completion import CompletionItem
from irn_video.codecs.scales import SCALES

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
"""What click takes for `shell_complete`."""


def complete_models(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Networks and ordinary resampling, with commas between them where there are several; and files."""
    return [*_listed(_models(), incomplete), CompletionItem(incomplete, type="file")]


def complete_anchors(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What a study compares with."""
    return _listed(("full", "lanczos", "bicubic", *_models()), incomplete)


def complete_codecs(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of codecs; the other names that are understood only where a word was begun."""
    from irn_video.codecs.encoders import CODEC_ALIASES, ENCODERS

    return _listed((*ENCODERS, *CODEC_ALIASES) if incomplete else ENCODERS, incomplete)


def complete_presets(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the codec that was named before."""
    return _listed(_words_of(context, "presets"), incomplete)


def complete_tunes(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of the codec that was named before."""
    return _listed(_words_of(context, "tunes"), incomplete)


def complete_metrics(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Metrics, with commas between them."""
    from irn_video.pipeline.quality.metrics import CLASSIFIER, METRICS, STUDY_METRICS, metric_option

    in_study = context.command.name == "run"
    known = (*STUDY_METRICS, "texture", "all", CLASSIFIER) if in_study else METRICS
    return _listed(("psnr", *map(metric_option, known)), incomplete)


def complete_scales(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What shrinks by how much."""
    return _listed((*(f"{scale:g}" for scale in SCALES), "auto"), incomplete)


def complete_efforts(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """How hard to tune."""
    return _listed(("quick", "fast", "best"), incomplete)


COMPLETED: dict[str, Complete] = {
    "--model": complete_models,
    "--models": complete_models,
    "--anchors": complete_anchors,
    "--init": complete_models,
    "--scale": complete_scales,
    "--adapt": complete_efforts,
    "--codec": complete_codecs,
    "--preset": complete_presets,
    "--tune": complete_tunes,
    "--metrics": complete_metrics,
}
"""By the name of an option, the same in all commands."""


def _models() -> Sequence[str]:
    from irn_video.codecs.kernels import RESAMPLERS
    from irn_video.pipeline.zoo.registry import model_names

    return (*model_names(), *RESAMPLERS)


def _words_of(context: click.Context, kind: str) -> Sequence[str]:
    from irn_video.codecs.encoders import ENCODERS, canonical_codec

    encoder = ENCODERS.get(canonical_codec(context.params.get("codec") or "h264"))
    return getattr(encoder, kind) if encoder is not None else ()


def _listed(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Words that begin as the last one after a comma."""
    before, comma, begun = incomplete.rpartition(",")
    return [CompletionItem(before + comma + word) for word in words if word.startswith(begun)]
