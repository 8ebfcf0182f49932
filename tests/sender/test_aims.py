"""irn-send that aims at a quality, a rate or a size; its advice, its estimates, and what other ways would take."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import irn_video as irn
import pytest
from irn_video.codecs.errors import GoalUnreachable, UnreadableVideo
from irn_video.codecs.reading.card_search import find_card
from irn_video.codecs.reading.reader import probe
from irn_video.sender import SendOptions, send
from irn_video.sender.search import peers
from irn_video.sender.search.checking import _SHORT
from irn_video.sender.sending import _after

QUICK = ("--preset", "ultrafast", "--device", "cpu")
OPTIONS: dict[str, Any] = {"preset": "ultrafast", "device": "cpu"}


@pytest.fixture(scope="module")
def noisy(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fine texture that changes with every frame: shrunk, it is gone."""
    return drawn(clips, tmp_path_factory.mktemp("noisy"), "testsrc=size=96x64:rate=25,noise=alls=20:all_seed=3:allf=t")


@pytest.fixture(scope="module")
def soft(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing that is lost by shrinking."""
    return drawn(clips, tmp_path_factory.mktemp("soft"), "testsrc2=size=96x64:rate=25,gblur=sigma=3")


def drawn(clips: Any, folder: Path, source: str) -> Path:
    """Eight frames."""
    how = ("-frames:v", 8, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", 10)
    clips.ffmpeg("-f", "lavfi", "-i", source, *how, folder / "drawn.mp4")
    return folder / "drawn.mp4"


@pytest.fixture(scope="module")
def sounding(clips: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with 64 kb/s of sound."""
    path = tmp_path_factory.mktemp("sounding") / "sounding.mp4"
    source = ("-f", "lavfi", "-i", "mandelbrot=size=96x64:rate=25", "-f", "lavfi", "-i", "sine=frequency=440")
    coded = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", 10, "-c:a", "aac", "-b:a", "64k")
    clips.ffmpeg(*source, "-t", 2, *coded, path)
    return path


class TestAims:
    @pytest.mark.parametrize(
        ("aim", "metric", "wanted", "kbps"),
        [
            (("--vmaf", 80), "vmaf", 80, None),
            (("--vmaf-neg", 40, "--scale", 2), "vmaf_neg", 40, None),
            (("--psnr", 34), "psnr_y", 34, None),
            (("--bitrate", "120k"), "vmaf_neg", None, 120),
        ],
    )
    def test_what_was_wanted_comes_out(
        self, run: Any, moving: Path, tmp_path: Path, aim: tuple[object, ...], metric: str, wanted: float, kbps: float
    ) -> None:
        done = run("send", moving, tmp_path / "lr.mp4", *aim, *QUICK, "--json")
        assert done.code == 0, done.err
        report = json.loads(done.out)
        search, ways = report["search"], report["search"]["ways"]
        assert (search["metric"], search["wanted"], search["kbps"]) == (metric, wanted, kbps)
        assert (report["environment"]["model"], report["stream"]["scale"]) == (ways[0]["model"], ways[0]["scale"])
        assert f"chosen for {'120 kb/s' if kbps else ''}" in done.err
        card = find_card(tmp_path / "lr.mp4")
        assert card is not None
        if kbps:
            assert card.bitrate == 120_000
            assert search["reached"] is None
            assert [way["quality"] for way in ways] == sorted((way["quality"] for way in ways), reverse=True)
        else:
            assert card.crf is not None
            assert [way["kbps"] for way in ways] == sorted(way["kbps"] for way in ways)
            assert search["reached"] >= wanted - _SHORT[metric]

    def test_the_quality_of_full_size_at_a_crf(self, run: Any, moving: Path, tmp_path: Path) -> None:
        done = run("send", moving, tmp_path / "lr.mp4", "--scale", "auto", "--crf", 30, *QUICK, "--json")
        search = json.loads(done.out)["search"]
        assert search["metric"] == "vmaf_neg"
        assert search["reached"] >= search["wanted"] - _SHORT["vmaf_neg"]
        plain = next(way for way in search["ways"] if way["model"] == "lanczos-x1")
        assert plain["crf"] == pytest.approx(30)

    def test_the_frames_agree(self, run: Any, moving: Path, tmp_path: Path) -> None:
        """By all frames of the stream, as --verify measures them, with what is dearer at this quality."""
        done = run("send", moving, tmp_path / "lr.mp4", "--psnr", 34, "--verify", *QUICK, "--json")
        report = json.loads(done.out)
        assert report["summary"]["psnr_y"]["mean"] == pytest.approx(report["search"]["reached"], abs=0.4)
        assert report["summary"]["psnr_y"]["mean"] > 33.6

    @pytest.mark.parametrize(("size", "limit"), [("60k", ()), ("40k", ("--scale", 2)), ("30k", ("--model", "full"))])
    def test_a_size_is_used_and_kept(self, sounding: Path, tmp_path: Path, size: str, limit: Any, run: Any) -> None:
        done = run("send", sounding, tmp_path / "lr.mp4", "--size", size, *limit, *QUICK, "--json")
        assert done.code == 0, done.err
        assert f"chosen for {size[:-1]}000 bytes with " in done.err
        wanted, made = 1000 * int(size[:-1]), (tmp_path / "lr.mp4").stat().st_size
        assert 0.9 * wanted <= made <= wanted
        assert probe(tmp_path / "lr.mp4").frames == 50
        assert json.loads(done.out)["stream"]["file_bytes"] == made

    def test_a_size_beyond_everything(self, sounding: Path, tmp_path: Path) -> None:
        options = SendOptions(size=10**15, model="full", frames=5, **OPTIONS)
        assert send(sounding, tmp_path / "lr.mp4", options).written.frames == 5

    @pytest.mark.parametrize(("limit", "scale"), [(("--scale", 2), 2), (("--scale", 4), 4), (("--model", "full"), 1)])
    def test_a_scale_or_a_network_narrows_the_search(
        self, run: Any, moving: Path, tmp_path: Path, limit: tuple[object, ...], scale: int
    ) -> None:
        done = run("send", moving, tmp_path / "lr.mp4", "--psnr", 20, *limit, *QUICK, "--json")
        assert [way["scale"] for way in json.loads(done.out)["search"]["ways"]] == [scale]

    @pytest.mark.parametrize(
        ("options", "model"),
        [
            (("--bitrate", "100k", "--scale", 2), "irn-h264-x2"),
            (("--bitrate", "100k", "--model", "lanczos-x2"), "lanczos-x2"),
            (("--crf", 30), "irn-h264-x2"),
            (("--model", "full"), "lanczos-x1"),
        ],
    )
    def test_what_says_how_is_no_aim(self, run: Any, moving: Path, tmp_path: Path, options: Any, model: str) -> None:
        done = run("send", moving, tmp_path / "lr.mp4", *options, *QUICK, "--json")
        report = json.loads(done.out)
        assert (report["search"], report["environment"]["model"]) == (None, model)
        assert "chosen" not in done.err

    def test_the_same_bytes(self, moving: Path, tmp_path: Path) -> None:
        for name in ("a.mp4", "b.mp4"):
            send(moving, tmp_path / name, SendOptions(vmaf=60, scale=2, **OPTIONS))
        assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()

    def test_several_videos(self, run: Any, moving: Path, noisy: Path, tmp_path: Path) -> None:
        done = run("send", moving, noisy, "--out", tmp_path / "out", "--psnr", 30, "--model", "full", *QUICK, "--json")
        assert done.code == 0, done.err
        reached = [entry["report"]["search"]["reached"] for entry in json.loads(done.out)]
        assert min(reached) > 29.8

    def test_from_python(self, moving: Path, tmp_path: Path) -> None:
        search = irn.send(moving, tmp_path / "lr.mp4", psnr=34, **OPTIONS).report.search
        assert search is not None
        assert search.wanted == 34
        assert search.ways

    def test_tuning_of_what_is_not_tuned(self, moving: Path, tmp_path: Path) -> None:
        options = SendOptions(psnr=34, model="full", adapt="fast", **OPTIONS)
        report = send(moving, tmp_path / "lr.mp4", options).report
        assert report.tuning.untuned == "what was chosen is not tuned"

    def test_frames_that_vmaf_cannot_see(self, clips: Any, run: Any, tmp_path: Path) -> None:
        """FFmpeg's libvmaf crashes on them."""
        tiny = clips.make(tmp_path / "tiny.mkv", "-c:v", "ffv1", size="16x24", frames=3)
        done = run("send", tiny, tmp_path / "lr.mkv", "--bitrate", "50k", *QUICK, "--json")
        assert json.loads(done.out)["search"]["metric"] == "psnr_y"
        done = run("send", tiny, tmp_path / "other.mkv", "--vmaf", 80, *QUICK)
        assert done.code == 2
        assert "libvmaf cannot measure frames of 16x24 (each side has to be 17 or more)" in done.error
        assert not (tmp_path / "other.mkv").exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--psnr", 69, "--model", "full"), "PSNR-Y 69.00 cannot be reached (samples gave PSNR-Y"),
            (("--vmaf", 99, "--scale", 4), "VMAF 99.00 cannot be reached"),
            (("--size", "20500", "--model", "full"), "20500 bytes are too few (all but the video takes 1"),
            (("--size", "10k"), "10000 bytes are too few (sound and other tracks take 1"),
            (
                ("--size", "19500", "--model", "full"),
                "19500 bytes with 5 kb/s of video cannot be reached (samples gave",
            ),
        ],
    )
    def test_what_cannot_be_reached(
        self, run: Any, sounding: Path, tmp_path: Path, options: tuple[object, ...], words: str
    ) -> None:
        """One line, and what was there stays."""
        output = tmp_path / "lr.mp4"
        output.write_bytes(b"old")
        done = run("send", sounding, output, "--overwrite", *options, *QUICK)
        assert done.code == 1
        assert words in done.error
        assert [path.name for path in tmp_path.iterdir()] == ["lr.mp4"]
        assert output.read_bytes() == b"old"

    @pytest.mark.parametrize(
        "options",
        [
            ("--psnr", 38, "--vmaf", 90),
            ("--crf", 30, "--vmaf", 80),
            ("--lossless", "--size", "1M"),
            ("--scale", "auto", "--model", "irn-h264-x2"),
            ("--vmaf", 0),
            ("--size", "20X"),
        ],
    )
    @pytest.mark.parametrize("how", [(), ("--dry-run",)])
    def test_what_makes_no_sense(self, run: Any, moving: Path, tmp_path: Path, options: Any, how: Any) -> None:
        done = run("send", moving, tmp_path / "lr.mp4", *options, *how)
        assert done.code == 2
        assert done.err.count("rror: ") == 1
        assert not list(tmp_path.iterdir())


class TestAdvice:
    def said(self, done: Any) -> list[str]:
        assert done.code == 0, done.err
        return re.findall(
            r"^advice: plain h264 at full size would probably take (\d+) % less for the same", done.err, re.M
        )

    def test_where_plain_coding_is_better(self, run: Any, noisy: Path, tmp_path: Path) -> None:
        """What it says is what --verify finds."""
        done = run("send", noisy, tmp_path / "lr.mp4", *QUICK, "--verify", "--json", advice=True)
        (less,) = self.said(done)
        (plain,) = (
            peer["rate"]
            for peer in json.loads(done.out)["peers"]
            if (peer["model"], peer["metric"]) == ("lanczos-x1", "psnr_y")
        )
        assert int(less) == pytest.approx(100 * (1 - plain), abs=5)

    @pytest.mark.parametrize(
        "options",
        [("-q",), ("--no-advice",), ("--psnr", 25), ("--lossless",), ("--model", "full")],
    )
    def test_not_where_it_is_not_wanted(self, run: Any, noisy: Path, tmp_path: Path, options: Any) -> None:
        assert not self.said(run("send", noisy, tmp_path / "lr.mp4", *options, *QUICK, advice=True))

    def test_not_where_it_would_be_wrong(self, run: Any, soft: Path, tmp_path: Path) -> None:
        assert not self.said(run("send", soft, tmp_path / "lr.mp4", *QUICK, advice=True))

    @pytest.mark.parametrize("options", [(), ("--crf", 51), ("--bitrate", "20k", "--scale", 2)])
    def test_nothing_to_see(self, clips: Any, run: Any, tmp_path: Path, options: Any) -> None:
        """Neither clips without any error, nor the worst CRF stop a send."""
        clips.ffmpeg("-f", "lavfi", "-i", "color=black:size=64x48:rate=25", "-frames:v", 3, tmp_path / "black.mp4")
        assert not self.said(run("send", tmp_path / "black.mp4", tmp_path / "lr.mp4", *options, *QUICK, advice=True))

    def test_it_never_stops_a_send(
        self, run: Any, moving: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> str:
            raise UnreadableVideo("no frame can be decoded where samples were taken")

        monkeypatch.setattr(peers, "advice", fail)
        assert not self.said(run("send", moving, tmp_path / "lr.mp4", "--model", "lanczos-x2", *QUICK, advice=True))


class TestPeers:
    def test_in_words_and_in_the_report(self, run: Any, noisy: Path, tmp_path: Path) -> None:
        done = run("send", noisy, tmp_path / "lr.mp4", "--verify", "--report", tmp_path / "report.json", *QUICK)
        psnr, vmaf = (line for line in done.out.splitlines() if line.startswith("for the same "))
        assert re.fullmatch(
            r"for the same PSNR-Y, by samples: plain coding at full size \d+ kb/s, −\d+ %; "
            r"the Lanczos pair \(lanczos-x2\) (\d+ kb/s, [+−]\d+ %|does not reach it)",
            psnr,
        )
        assert vmaf.startswith("for the same VMAF-NEG, by samples: plain coding at full size ")
        found = json.loads((tmp_path / "report.json").read_text())["peers"]
        assert [(peer["model"], peer["metric"]) for peer in found] == [
            ("lanczos-x1", "psnr_y"),
            ("lanczos-x2", "psnr_y"),
            ("lanczos-x1", "vmaf_neg"),
            ("lanczos-x2", "vmaf_neg"),
        ]

    def test_a_way_is_no_peer_of_its_own(self, moving: Path, tmp_path: Path) -> None:
        report = send(moving, tmp_path / "lr.mp4", SendOptions(model="lanczos-x2", verify=True, **OPTIONS)).report
        assert [(peer.model, peer.metric) for peer in report.peers] == [
            ("lanczos-x1", "psnr_y"),
            ("lanczos-x1", "vmaf_neg"),
        ]

    def test_none_without_loss(self, moving: Path, tmp_path: Path) -> None:
        options = SendOptions(model="lanczos-x2", lossless=True, verify=True, **OPTIONS)
        assert not send(moving, tmp_path / "lr.mp4", options).report.peers


class TestDryRun:
    @pytest.mark.parametrize("aim", [(), ("--psnr", 30), ("--lossless",), ("--bitrate", "90k", "--scale", 2)])
    def test_nothing_is_written(self, run: Any, moving: Path, tmp_path: Path, aim: tuple[object, ...]) -> None:
        done = run("send", moving, "--out", tmp_path / "out", "--dry-run", *aim, *QUICK)
        assert done.code == 0, done.err
        line = rf"{moving} → {tmp_path}/out/moving.mp4: \S+ at \d+x\d+, h264, .*, about \d+ kb/s, \S+ MB, \d+ s of work"
        assert re.match(line, done.out), done.out
        assert not list(tmp_path.iterdir())

    def test_it_is_about_right(self, run: Any, sounding: Path, tmp_path: Path) -> None:
        for options in (("--crf", 30), ("--crf", 20, "--frames", 30)):
            done = run("send", sounding, tmp_path / "lr.mp4", *options, *QUICK, "--dry-run", "--json")
            (entry,) = json.loads(done.out)
            assert not (tmp_path / "lr.mp4").exists()
            sent = json.loads(run("send", sounding, tmp_path / "lr.mp4", *options, *QUICK, "--json").out)
            (tmp_path / "lr.mp4").unlink()
            assert entry["frames"] == sent["stream"]["frames"]
            assert entry["kbps"] == pytest.approx(sent["stream"]["kbps"], rel=0.1)
            assert entry["bytes"] == pytest.approx(sent["stream"]["file_bytes"], rel=0.25)  # headers weigh much here
            assert (entry["model"], entry["width"]) == ("irn-h264-x2", sent["stream"]["width"])

    def test_it_says_the_preset_of_the_scale(self, run: Any, moving: Path) -> None:
        done = run("send", moving, "--model", "lanczos-x4", "--frames", 2, "--dry-run", "--json")
        assert json.loads(done.out)[0]["preset"] == "veryslow"


class TestProgress:
    @pytest.mark.parametrize("options", [{"size": 30_000, "scale": 2}, {"scale": "auto", "frames": 12}], ids=str)
    def test_it_never_goes_back(self, sounding: Path, tmp_path: Path, options: dict[str, Any]) -> None:
        """One total from the first trial to the last frame that is sent."""
        done, totals = self.calls(sounding, tmp_path, **options)
        assert done[0] == 0
        assert done == sorted(done)
        assert {done[-1]} == set(totals)

    def test_nor_where_the_search_has_counted_otherwise(self) -> None:
        """Or the frames of the source are not known."""
        calls: list[tuple[int, int | None]] = []
        chosen: Any = SimpleNamespace(work=100, sample=SimpleNamespace(total=50))
        after = _after(chosen, lambda *call: calls.append(call))
        for call in ((10, None), (20, 48), (50, None), (52, None)):
            after(*call)
        assert calls == [(110, 150), (120, 150), (150, 150), (152, 152)]

    def calls(self, source: Path, folder: Path, **options: Any) -> tuple[list[int], list[int]]:
        calls: list[tuple[int, int | None]] = []
        settings = SendOptions(**options, **OPTIONS)
        send(source, folder / "lr.mp4", settings, advance=lambda done, total: calls.append((done, total)))
        assert all(total is not None for _, total in calls)
        return [done for done, _ in calls], [total or 0 for _, total in calls]

    def test_a_failed_search_leaves_no_file(self, moving: Path, tmp_path: Path) -> None:
        with pytest.raises(GoalUnreachable):
            send(moving, tmp_path / "lr.mp4", SendOptions(psnr=69, model="full", **OPTIONS))
        assert not list(tmp_path.iterdir())
