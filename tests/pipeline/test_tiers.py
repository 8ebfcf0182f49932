"""Networks by what they cost the receiver: which there are, and how senders choose among them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import irn_video as irn
import pytest
from irn_video.codecs.errors import BadOption, GoalUnreachable
from irn_video.codecs.links.url import LiveUrl
from irn_video.codecs.scales import SCALES
from irn_video.pipeline.commands.stream import main as stream
from irn_video.pipeline.study.methods import Method
from irn_video.pipeline.zoo import NETWORKS, list_models
from irn_video.pipeline.zoo import tiers as zoo_tiers
from irn_video.pipeline.zoo.looks import REAL_SUFFIX
from irn_video.pipeline.zoo.registry import model_names
from irn_video.pipeline.zoo.tiers import TIERS, network_of, networks_of, tier_of
from irn_video.sender import SendOptions, send
from irn_video.sender.camera import Camera
from irn_video.sender.commands import apply
from irn_video.sender.live import LiveControl, LiveSendOptions, send_live
from irn_video.sender.search import choosing

BEST_AT_HIGH_RATES = next(name for name in ("irn-h264-x1.5", "irn-h264-x2-base") if name in model_names())
QUICK = ("--preset", "ultrafast", "--json")
ALL = {name for tier in TIERS.values() for name in tier.networks.values()}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What is installed: `here("irn-h264-x2", …)`."""
    return lambda *names: monkeypatch.setattr(zoo_tiers, "model_names", lambda: list(names))


class TestTable:
    def test_each_network_is_where_its_cost_belongs(self) -> None:
        shipped = {e.card.name: e.card for e in list_models() if e.shipped and e.card.network.family == "codec-aware"}
        cheapest_last = reversed(TIERS.items())
        placed = {name: (tier, scale) for tier, found in cheapest_last for scale, name in found.networks.items()}
        assert shipped.keys() >= {"irn-h264-x1", "irn-h264-x2", "irn-h264-x2-base", "irn-h264-x4"}
        for name, card in shipped.items():
            assert (tier_of(card.macs_up), card.network.scale) == placed[name.removesuffix(REAL_SUFFIX)]

    def test_limits(self) -> None:
        assert [tier_of(macs) for macs in (1, 1300, 1301, 5000, 5001, 25_000, 25_001)] == [
            *("lite", "lite", "fast", "fast", "base", "base", None)
        ]
        assert set(NETWORKS.values()) <= ALL
        assert all(2 in tier.networks for tier in TIERS.values())

    def test_networks(self, here: Any) -> None:
        here(*ALL)
        assert {tier: network_of(2, tier) for tier in TIERS} == {
            "lite": "irn-h264-x2-lite",
            "fast": "irn-h264-x2",
            "base": "irn-h264-x2-base",
        }
        assert [network_of(scale, "base") for scale in (1, 1.5, 4)] == ["irn-h264-x1", "irn-h264-x1.5", "irn-h264-x4"]
        assert [network_of(scale) for scale in SCALES] == list(NETWORKS.values())

    @pytest.mark.parametrize(
        ("scale", "tier", "words"),
        [
            (2, "lite", r"no network of the tier lite for scale 2 \(scale 2 has: fast, base\)"),
            (1, "fast", r"no network of the tier fast for scale 1 \(scale 1 has: base\)"),
            (4, "lite", r"no network of the tier lite for scale 4 \(scale 4 has: base\)"),
            (2, "cheap", r"no tier is called 'cheap' \(there are: lite, fast, base\)"),
            (3, "base", "no network has scale 3"),
            (1.5, "lite", r"no network of the tier lite for scale 1\.5 \(scale 1\.5 has: fast, base\)"),
        ],
    )
    def test_what_is_not_here(self, scale: float, tier: str, words: str, here: Any) -> None:
        here(*(ALL - {"irn-h264-x2-lite"}))
        with pytest.raises(BadOption, match=words):
            network_of(scale, tier)

    def test_a_network_that_comes_is_there(self, here: Any) -> None:
        here("irn-h264-x2")
        assert networks_of("lite") == {}
        assert networks_of(None) == {2: "irn-h264-x2"}
        with pytest.raises(BadOption, match=r"no network for scale 1\.5 \(lanczos-x1\.5 is ordinary resampling\)"):
            network_of(1.5)
        here("irn-h264-x2", "irn-h264-x2-lite")
        assert networks_of("lite") == {2: "irn-h264-x2-lite"}


class TestSend:
    @pytest.mark.parametrize(
        ("options", "model"),
        [
            (("--tier", "base"), "irn-h264-x2-base"),
            (("--tier", "base", "--scale", 4), "irn-h264-x4"),
            (("--tier", "base", "--scale", 1), "irn-h264-x1"),
            (("--tier", "base", "--scale", 2, "--bitrate", "100k"), "irn-h264-x2-base"),
            (("--tier", "fast"), "irn-h264-x2"),
        ],
    )
    def test_a_tier_and_a_scale(self, options: Any, model: str, run: Any, moving: Path, tmp_path: Path) -> None:
        done = run("send", moving, tmp_path / "lr.mp4", *options, "--frames", 2, *QUICK)
        assert done.code == 0, done.err
        assert json.loads(done.out)["environment"]["model"] == model

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--tier", "base", "--model", "irn-h264-x2"), "--model and --tier both choose the network"),
            (("--tier", "base", "--model", "full", "--psnr", 30), "--model and --tier both choose the network"),
            (("--tier", "fast", "--scale", 4), "no network of the tier fast for scale 4 (scale 4 has: base)"),
            (("--tier", "fast", "--scale", 1, "--vmaf", 80), "no network of the tier fast for scale 1"),
            (("--tier", "lite"), "no network of the tier lite for scale 2 (scale 2 has: fast, base)"),
            (("--tier", "lite", "--psnr", 30), "no network of the tier lite for scale 2"),
            (("--tier", "slow"), "'slow' is not one of 'lite', 'fast', 'base'"),
        ],
    )
    @pytest.mark.parametrize("how", [(), ("--dry-run",)])
    def test_refusals(
        self, options: Any, words: str, how: Any, run: Any, moving: Path, tmp_path: Path, here: Any
    ) -> None:
        here(*(ALL - {"irn-h264-x2-lite"}))
        done = run("send", moving, tmp_path / "lr.mp4", *options, *how)
        assert done.code == 2
        assert words in done.error
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("options", "tried"),
        [
            ({}, ["lanczos-x1", "irn-h264-x2", "irn-h264-x1.5", "irn-h264-x4", "irn-h264-x1"]),
            ({"tier": "fast"}, ["lanczos-x1", "irn-h264-x2", "irn-h264-x1.5"]),
            ({"tier": "base"}, ["lanczos-x1", "irn-h264-x2-base", "irn-h264-x1.5", "irn-h264-x4", "irn-h264-x1"]),
            ({"tier": "base", "scale": 2}, ["irn-h264-x2-base"]),
            ({"tier": "base", "scale": 1}, ["lanczos-x1", "irn-h264-x1"]),
        ],
    )
    def test_a_search_tries_the_tier_alone(
        self, options: Any, tried: list[str], moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ways: list[str] = []

        def seen(_: object, found: Any, *__: object, **___: object) -> None:
            ways.extend(way.name for way in found)
            raise GoalUnreachable("seen")

        monkeypatch.setattr(choosing, "search", seen)
        with pytest.raises(GoalUnreachable):
            send(moving, tmp_path / "lr.mp4", SendOptions(psnr=30, device="cpu", **options))
        assert ways == [name for name in tried if name.startswith("lanczos") or name in model_names()]

    def test_what_a_search_chose_is_sent(self, moving: Path, tmp_path: Path) -> None:
        options = SendOptions(psnr=20, tier="fast", scale=2, frames=4, preset="ultrafast", device="cpu")
        assert send(moving, tmp_path / "lr.mp4", options).report.model == "irn-h264-x2"

    def test_from_python(self, moving: Path, tmp_path: Path) -> None:
        sent = irn.send(moving, tmp_path / "lr.mp4", tier="base", frames=2)
        assert sent.report.model == "irn-h264-x2-base"
        with pytest.raises(irn.IrnError, match="no tier is called 'best'"):
            irn.send(moving, tmp_path / "other.mp4", tier="best")

    def test_what_is_typed_wins_over_a_file(self, run: Any, moving: Path, tmp_path: Path) -> None:
        """Either does away with the other; two in a file are a mistake in it."""
        for number, (given, typed, model) in enumerate(
            [
                ('model = "irn-x2"', ("--tier", "base"), "irn-h264-x2-base"),
                ('tier = "base"', ("--model", "lanczos-x2"), "lanczos-x2"),
                ('tier = "base"', (), "irn-h264-x2-base"),
            ]
        ):
            (tmp_path / "my.toml").write_text(f"[irn-send]\n{given}\n")
            how = ("--config", tmp_path / "my.toml", "--frames", 2, *typed, *QUICK)
            done = run("send", moving, tmp_path / f"{number}.mp4", *how)
            assert json.loads(done.out)["environment"]["model"] == model
        (tmp_path / "my.toml").write_text('[irn-send]\ntier = "base"\nmodel = "irn-x2"\n')
        assert run("send", moving, tmp_path / "x.mp4", "--config", tmp_path / "my.toml").code == 2


class TestLive:
    @pytest.mark.parametrize(
        ("options", "model"),
        [
            ({}, "irn-h264-x4"),
            ({"tier": "base"}, "irn-h264-x4"),
            ({"tier": "fast"}, "irn-h264-x2"),
            ({"tier": "base", "bitrate": 40_000}, "irn-h264-x2-base"),
            ({"tier": "base", "bitrate": 800_000}, BEST_AT_HIGH_RATES),
            ({"tier": "fast", "model": "lanczos-x2"}, "lanczos-x2"),
        ],
    )
    def test_what_suits_the_bit_rate_and_is_of_the_tier(
        self, options: Any, model: str, clips: Any, port: int, tmp_path: Path
    ) -> None:
        clip = clips.make(tmp_path / "in.mp4", size="192x128", frames=3, rate=100)
        control = LiveControl(LiveSendOptions(**{"bitrate": 5000, "device": "cpu", **options}))
        with Camera(str(clip)) as camera:
            send_live(camera, LiveUrl("udp", "127.0.0.1", port), control)
        assert control.sending is not None
        assert control.sending[1].name == model

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--tier", "base", "--model", "irn-h264-x2"), "--model and --tier both choose the network"),
            (("--tier", "fast", "--scale", "4"), "no network of the tier fast for scale 4"),
            (("--tier", "lite"), "no network of the tier lite for scale 2 (scale 2 has: fast, base)"),
        ],
    )
    @pytest.mark.parametrize("command", ["send", "demo"])
    def test_refusals(
        self,
        command: str,
        options: tuple[str, ...],
        words: str,
        moving: Path,
        port: int,
        here: Any,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        here(*(ALL - {"irn-h264-x2-lite"}))
        where = [f"udp://127.0.0.1:{port}"] if command == "send" else ["--no-open"]
        assert stream([command, str(moving), *where, *options]) == 2
        err = capsys.readouterr().err
        assert words in err
        assert "Traceback" not in err

    def test_commands(self, here: Any) -> None:
        here(*(ALL - {"irn-h264-x2-lite"}))
        control = LiveControl(LiveSendOptions(model="irn-h264-x4"))
        apply("tier base", control)
        assert (control.options.tier, control.options.model) == ("base", None)
        apply("scale 2", control)
        assert (control.options.tier, control.options.model) == ("base", "irn-h264-x2-base")
        for line in ("tier lite", "tier best"):
            with pytest.raises(BadOption, match=r"no (network of the tier lite|tier is called 'best')"):
                apply(line, control)
        assert control.options.tier == "base"
        control.set_tier("fast")
        with pytest.raises(BadOption, match=r"scale 4 has: base"):
            apply("scale 4", control)


def test_studies_know_them() -> None:
    assert str(Method.parse("base")) == "irn-h264-x2-base"
    assert str(Method.parse("fast@best")) == "irn-h264-x2@best"
    assert str(Method.parse("fast+bicubic")) == "irn-h264-x2+bicubic"
