"""Options have one home: what commands and Python say is the same, field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from irn_video.codecs.encoders import ENCODERS, EncoderSettings, make_encoder
from irn_video.codecs.errors import BadOption
from irn_video.codecs.links.url import LiveUrl
from irn_video.pipeline.commands import receive as receive_command
from irn_video.pipeline.commands import send as send_command
from irn_video.pipeline.commands import stream as stream_command
from irn_video.pipeline.options import check_types
from irn_video.receiver.live import receive_live
from irn_video.receiver.live_options import LiveReceiveOptions
from irn_video.receiver.receiving import ReceiveOptions, receive
from irn_video.sender.live import LiveControl, LiveSendOptions
from irn_video.sender.sending import SendOptions, send


def parsed(command: click.Command, *arguments: str, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a command line says, without what is no field of the options."""
    return {k: v for k, v in command.make_context("x", list(arguments)).params.items() if k not in but}


NO_FIELDS = ("paths", "out", "report", "as_json", "quiet", "resume")
SEND_NO_FIELDS = (*NO_FIELDS, "dry_run", "advise", "purpose", "ladder")
COMMANDS = {
    "send": (send_command.command, ("a", "b"), SEND_NO_FIELDS, SendOptions),
    "receive": (receive_command.command, ("a", "b"), (*NO_FIELDS, "plot", "play"), ReceiveOptions),
    "stream send": (
        stream_command.send,
        ("a", "b"),
        ("source", "url", "as_json", "loop", "seconds", "size", "fps", "sdp", "control", "overwrite", "scale"),
        LiveSendOptions,
    ),
    "stream receive": (
        stream_command.receive,
        ("a",),
        ("url", "as_json", "display", "web", "host"),
        LiveReceiveOptions,
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_options_is_the_dataclass_without_any(name: str) -> None:
    command, arguments, but, kind = COMMANDS[name]
    assert kind(**parsed(command, *arguments, but=but)) == kind()


def test_from_the_command_line() -> None:
    words = ["--bitrate", "800k", "--pix-fmt", "yuv444p", "--adapt", "fast", "--adapt-budget", "2%", "--seed", "3"]
    options = SendOptions(**parsed(send_command.command, "a", "b", *words, but=SEND_NO_FIELDS))
    assert options == SendOptions(bitrate=800_000, pixel_format="yuv444p", adapt="fast", adapt_budget="2%", seed=3)
    with pytest.raises(BadOption, match="not a bit rate"):
        parsed(send_command.command, "a", "b", "--bitrate", "much")


def test_the_encoder_is_a_part() -> None:
    options = SendOptions(crf=26, preset="slow", adapt="fast")
    assert options.encoder == EncoderSettings(crf=26, preset="slow")
    assert make_encoder(options).crf == 26
    with pytest.raises(BadOption, match="crf 99"):
        make_encoder(SendOptions(crf=99).encoder)


def test_the_live_commands_say_what_the_others_say() -> None:
    """Congestion control is no tuning, one file is named by its place, and a loop is on or off by one word."""
    send, receive, demo = stream_command.send, stream_command.receive, stream_command.demo
    assert parsed(send, "a", "b", "--no-congestion", "--loop", "-y")["congestion"] is False
    assert [parsed(c, *a)["loop"] for c, a in ((send, ("a", "b")), (demo, ("a",)))] == [False, True]
    assert parsed(demo, "a", "--no-loop")["loop"] is False
    assert parsed(receive, "a", "out.mkv", "-y")["output"] == Path("out.mkv")
    for command, words in ((send, ("a", "b", "--adapt")), (demo, ("a", "--once")), (receive, ("a", "--output", "b"))):
        with pytest.raises(click.NoSuchOption):
            parsed(command, *words)


@pytest.mark.parametrize(
    ("given", "crf", "preset"),
    [
        ({}, 18, "veryfast"),
        ({"codec": "h265"}, 18, "veryfast"),
        ({"crf": 30}, 30, "veryfast"),
        ({"preset": "slow"}, 18, "slow"),
        ({"bitrate": 800_000}, None, "veryfast"),
        ({"lossless": True}, None, "veryfast"),
        ({"codec": "av1"}, None, None),
        ({"codec": "ffv1"}, None, None),
    ],
)
def test_the_restored_files_encoder(given: dict[str, Any], crf: float | None, preset: str | None) -> None:
    encoder = ReceiveOptions(**given, source="x.mkv").encoder
    assert (encoder.crf, encoder.preset) == (crf, preset)
    assert type(encoder) is EncoderSettings
    make_encoder(encoder)


def test_live_streams_are_sent_with_little_delay() -> None:
    assert LiveSendOptions().encoder == EncoderSettings(
        bitrate=800_000, preset="veryfast", tune="zerolatency", buffer_seconds=0.5
    )


def test_scale_alone_names_the_network(tmp_path: Path, moving: Path) -> None:
    sent = send(moving, tmp_path / "lr.mkv", SendOptions(scale=4, frames=1, preset="ultrafast"))
    assert (sent.card.model, sent.card.scale) == ("irn-h264-x4", 4)
    with pytest.raises(BadOption, match="no network has scale 3"):
        send(moving, tmp_path / "other.mkv", SendOptions(scale=3))
    with pytest.raises(BadOption, match="irn-h264-x1 has scale 1, not 2"):
        send(moving, tmp_path / "other.mkv", SendOptions(scale=2, model="irn-h264-x1"))


def test_help_names_every_codec() -> None:
    codec = next(parameter for parameter in send_command.command.params if parameter.name == "codec")
    assert isinstance(codec, click.Option)
    assert codec.help is not None
    assert {name for name in ENCODERS if name not in codec.help} == set()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bitrate": "200k"}, "bitrate cannot be '200k'.*a whole number or None"),
        ({"crf": "26"}, "crf cannot be '26'.*a number or None"),
        ({"frames": True}, "frames cannot be True"),
        ({"frames": 2.5}, "frames cannot be 2.5"),
        ({"adapt": 20}, "adapt cannot be 20.*text"),
        ({"scale": [2]}, r"scale cannot be \[2\].*a number or text or None"),
        ({"scale": 2.5}, "no network has scale 2.5"),
        ({"overwrite": 1}, "overwrite cannot be 1.*True or False"),
        ({"codec": None}, "codec cannot be None"),
    ],
)
def test_another_type_is_refused_by_name(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=words):
        send(tmp_path / "in.mp4", tmp_path / "out.mp4", SendOptions(**options))


@pytest.mark.parametrize(
    ("typed", "scale"), [("1", 1), ("1.5", 1.5), ("3/2", 1.5), ("2", 2), ("4", 4), ("auto", "auto"), (None, None)]
)
def test_scales(typed: str | None, scale: object) -> None:
    option = next(parameter for parameter in send_command.command.params if parameter.name == "scale")
    context = click.Context(send_command.command)
    assert option.callback is not None
    found = option.callback(context, option, typed)
    assert (found, type(found)) == (scale, type(scale))


@pytest.mark.parametrize("typed", ["3", "2.0", "half", ""])
def test_other_scales(run: Any, moving: Path, tmp_path: Path, typed: str) -> None:
    done = run("send", moving, tmp_path / "lr.mp4", "--scale", typed)
    assert done.code == 2
    assert "1|1.5|2|4|auto" in done.error


def test_numpy_numbers_are_numbers() -> None:
    check_types(SendOptions(crf=np.float32(26), frames=np.int64(3)))  # type: ignore[arg-type]  # NumPy's stubs


def test_types_of_the_receiver_too(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="temperature cannot be '0'"):
        receive(tmp_path / "lr.mp4", tmp_path / "out.mp4", ReceiveOptions(temperature="0"))  # type: ignore[arg-type]


def test_types_of_the_live_halves_too() -> None:
    with pytest.raises(BadOption, match=r"bitrate cannot be '400k'.*a whole number"):
        LiveControl(LiveSendOptions(bitrate="400k"))  # type: ignore[arg-type]
    control = LiveControl()
    with pytest.raises(BadOption, match="bitrate cannot be '400k'"):
        control.set_bitrate("400k")  # type: ignore[arg-type]
    with pytest.raises(BadOption, match="congestion cannot be 'off'"):
        control.set_congestion("off")  # type: ignore[arg-type]
    assert control.options == LiveSendOptions()
    with pytest.raises(BadOption, match=r"seconds cannot be '5'.*a number or None"):
        receive_live(LiveUrl("udp", "127.0.0.1", 9), LiveReceiveOptions(seconds="5"))  # type: ignore[arg-type]
