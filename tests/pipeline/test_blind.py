"""The blind comparison without a browser: what is compared, who is shown what, what is served, what the answers say."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, permutations
from math import log
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession
from hypothesis import given, settings
from hypothesis import strategies as st
from irn_video.codecs.errors import BadConfig, BadOption, IrnError, MissingFile, SourceMismatch
from irn_video.codecs.reading.reader import VideoReader
from irn_video.pipeline.blind.answers import Answer, append, read_answers
from irn_video.pipeline.blind.bradley_terry import strengths
from irn_video.pipeline.blind.entrants import Clip, Reference, find_clips
from irn_video.pipeline.blind.scores import describe, score, write_scores
from irn_video.pipeline.blind.server import BlindServer, Listener
from irn_video.pipeline.blind.session import Plan, Session, Trial
from irn_video.pipeline.blind.showing import Showing, stride, write_showing
from irn_video.pipeline.commands.study import main
from irn_video.pipeline.quality.psnr import compare
from scipy.special import expit

QUESTION = "Which one?"
# Of the American League East in 1987 (A. Agresti, Categorical Data Analysis): who has won how often against whom.
TEAMS = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]


def answer(winner: str, loser: str, trial: int, *, session: str = "s", choice: str = "a", clip: str = "c") -> Answer:
    a, b = (winner, loser) if choice == "a" else (loser, winner)
    return Answer(
        at="2026-01-01T00:00:00+00:00",
        question=QUESTION,
        observer="",
        plan="p",
        session=session,
        trial=trial,
        clip=clip,
        a=a,
        b=b,
        choice="a" if choice == "a" else "b",
        seconds=1.5,
    )


def answers(choose: Callable[[str, str], bool], methods: str = "abcd", rounds: int = 20) -> list[Answer]:
    """All pairs so many times; `choose` says whether the first is chosen."""
    pairs = list(combinations(methods, 2)) * rounds
    return [answer(*((x, y) if choose(x, y) else (y, x)), trial=n) for n, (x, y) in enumerate(pairs)]


class TestBradleyTerry:
    def test_a_known_example(self) -> None:
        """The estimates and standard errors that R's BradleyTerry2 has for it, each over the last team."""
        found = strengths(np.array(TEAMS, float), prior=0)
        over, errors = found.differences()
        assert over[:, -1] == pytest.approx([1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0], abs=1e-4)
        assert errors[:, -1] == pytest.approx([0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319, 0], abs=1e-4)

    def test_against_the_mm_algorithm(self) -> None:
        """D. R. Hunter, MM algorithms for generalized Bradley-Terry models, 2004."""
        won = np.array(TEAMS, float)
        faced, gamma = won + won.T, np.ones(len(won))
        for _ in range(500):
            gamma = won.sum(1) / (faced / (gamma[:, None] + gamma)).sum(1)
            gamma /= np.exp(np.log(gamma).mean())
        assert strengths(won, prior=0).scores == pytest.approx(np.log(gamma), abs=1e-6)

    @given(st.integers(0, 5000), st.integers(0, 5000))
    def test_two_have_a_closed_form(self, won: int, lost: int) -> None:
        found = strengths(np.array([[0, won], [lost, 0]], float))
        over, errors = found.differences()
        assert over[0, 1] == pytest.approx(log((won + 0.5) / (lost + 0.5)), abs=1e-5)
        assert errors[0, 1] == pytest.approx((1 / (won + 0.5) + 1 / (lost + 0.5)) ** 0.5, rel=1e-4)

    @settings(max_examples=40)
    @given(st.lists(st.integers(0, 30), min_size=12, max_size=12), st.permutations(range(4)))
    def test_renaming_changes_nothing_and_turning_round_turns_round(self, counts: list[int], order: list[int]) -> None:
        wins = np.zeros((4, 4))
        wins[~np.eye(4, dtype=bool)] = counts
        found, renamed = strengths(wins), strengths(wins[np.ix_(order, order)])
        assert renamed.scores == pytest.approx(found.scores[order], abs=1e-5)
        assert renamed.errors() == pytest.approx(found.errors()[order], rel=1e-4)
        assert strengths(wins.T).scores == pytest.approx(-found.scores, abs=1e-5)
        assert found.scores.mean() == pytest.approx(0, abs=1e-9)
        # At the optimum what is expected has happened, with half a choice more for each of each two.
        chance = expit(found.scores[:, None] - found.scores) * (1 - np.eye(4))
        assert ((wins + wins.T + 1) * chance).sum(1) == pytest.approx(wins.sum(1) + 1.5, abs=1e-4)


class TestScores:
    def test_random_answers_are_a_tie(self) -> None:
        """No difference is told, and all intervals have 0 in them, in at least 95 of 100 studies."""
        ties = contained = 0
        for seed in range(100):
            random = Random(seed)
            (found,) = score(answers(lambda *_, random=random: random.random() < 0.5))
            ties += found.overall.conclusion.startswith("No difference can be told from 120 answers")
            contained += all(standing.low < 0 < standing.high for standing in found.overall.standings)
        assert ties >= 95
        assert contained >= 95
        assert ties < 100  # the test can see differences at all

    def test_a_preference_is_found(self) -> None:
        (found,) = score(answers(lambda x, y: x > y, "abc"))
        assert [standing.method for standing in found.overall.standings] == ["c", "b", "a"]
        assert found.overall.conclusion == "c is preferred to a and b; b is preferred to a."
        assert [(s.chosen, s.shown) for s in found.overall.standings] == [(40, 40), (20, 40), (0, 40)]
        assert all(np.isfinite([s.low, s.score, s.high]).all() for s in found.overall.standings)

    @pytest.mark.parametrize(("won", "of", "told"), [(9, 10, True), (8, 10, False), (15, 20, True), (14, 20, False)])
    def test_how_many_must_agree(self, won: int, of: int, told: bool) -> None:
        """As docs/studies.md says."""
        (found,) = score([answer("ab"[n >= won], "ba"[n >= won], n) for n in range(of)])
        assert (found.overall.conclusion == "a is preferred to b.") == told

    def test_what_is_not_told_is_said(self) -> None:
        random = Random(1)
        (found,) = score(answers(lambda x, y: random.random() < 0.5 if {x, y} == {"a", "b"} else x > y, "abc"))
        assert found.overall.conclusion == "c is preferred to a and b; all other differences may be chance."
        (few,) = score([answer("a", "b", 0)])
        assert few.overall.conclusion == "No difference can be told from 1 answer: what there is may be chance."

    @pytest.mark.parametrize("names", list(permutations("xyz")))
    def test_names_do_not_matter(self, names: tuple[str, str, str]) -> None:
        random = Random(3)
        given = answers(lambda x, y: random.random() < (0.8 if x < y else 0.2), "abc")
        called = dict(zip("abc", names, strict=True))
        renamed = [replace(a, a=called[a.a], b=called[a.b]) for a in given]
        (found,), (other,) = score(given), score(renamed)
        for standing in found.overall.standings:
            (same,) = [s for s in other.overall.standings if s.method == called[standing.method]]
            assert (same.score, same.low, same.high) == pytest.approx((standing.score, standing.low, standing.high))

    def test_by_question_clip_and_observer(self, tmp_path: Path) -> None:
        given = [answer("a", "b", n, clip="one" if n % 2 else "two", choice="ab"[n % 2]) for n in range(8)]
        given += [replace(answer("b", "a", n, session="t"), question="Other?", observer="Ada") for n in range(3)]
        found = score(given)
        assert [(s.question, s.observers, s.overall.answers, s.left) for s in found] == [
            (QUESTION, 1, 8, 0.5),
            ("Other?", 1, 3, 1.0),
        ]
        assert [(table.clip, table.answers) for table in found[0].clips] == [("one", 4), ("two", 4)]
        write_scores(tmp_path, found)
        written = json.loads((tmp_path / "scores.json").read_text())
        assert written["schema"] == 1
        assert written["questions"][0]["overall"]["standings"][0]["method"] == "a"
        text = describe(found)
        assert "Which one? 8 answers of 1 observer, the left side in 50%" in text
        assert "one: 4 answers" in text


class TestAnswers:
    def test_they_come_back(self, tmp_path: Path) -> None:
        given = [answer("a", "b", 0), answer("b", "ü", 1, choice="b")]
        for one in given:
            append(tmp_path, one)
        assert read_answers(tmp_path) == given

    def test_the_last_one_to_a_trial_counts_and_files_merge(self, tmp_path: Path) -> None:
        append(tmp_path, answer("a", "b", 0))
        append(tmp_path, answer("b", "a", 0))
        (tmp_path / "answers.jsonl").rename(tmp_path / "answers-ada.jsonl")
        append(tmp_path, answer("b", "a", 0))  # the same as in the other file
        append(tmp_path, answer("a", "b", 0, session="t"))
        assert [(a.winner, a.session) for a in read_answers(tmp_path)] == [("b", "s"), ("a", "t")]

    def test_what_a_crash_has_cut_short_gives_way(self, tmp_path: Path) -> None:
        path = tmp_path / "answers.jsonl"
        append(tmp_path, answer("a", "b", 0))
        whole = path.read_bytes()
        path.write_bytes(whole + whole[:40])
        assert len(read_answers(tmp_path)) == 1
        append(tmp_path, answer("b", "a", 1))
        assert [a.trial for a in read_answers(tmp_path)] == [0, 1]
        path.write_bytes(whole[:40])
        append(tmp_path, answer("b", "a", 1))
        assert [a.trial for a in read_answers(tmp_path)] == [1]

    @pytest.mark.parametrize(
        "changed",
        [
            {"choice": "c"},
            {"trial": -1},
            {"trial": True},
            {"trial": 1.5},
            {"seconds": float("nan")},
            {"seconds": 1e30},
            {"a": "b"},
            {"a": "x" * 500},
            {"a": "\x1b[2J"},
            {"clip": None},
            {"version": 2},
            {"more": 1},
        ],
    )
    def test_others_are_refused_by_line(self, changed: dict[str, object], tmp_path: Path) -> None:
        append(tmp_path, answer("a", "b", 0))
        path = tmp_path / "answers.jsonl"
        line = json.loads(path.read_text())
        path.write_text(path.read_text() + json.dumps(line | changed) + "\n")
        with pytest.raises(BadConfig, match=r"answers\.jsonl: line 2 is no answer"):
            read_answers(tmp_path)

    @pytest.mark.parametrize("line", ["{", "[" * 100_000, "null", "7", '{"version": 1}', "\udcff"])
    def test_no_json_is_refused(self, line: str, tmp_path: Path) -> None:
        (tmp_path / "answers.jsonl").write_bytes(line.encode(errors="surrogateescape") + b"\n")
        with pytest.raises(BadConfig, match="line 1 is no answer"):
            read_answers(tmp_path)

    def test_too_large_a_file_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "answers.jsonl").open("wb") as file:
            os.truncate(file.fileno(), 1 << 30)
        with pytest.raises(BadConfig, match="too large"):
            read_answers(tmp_path)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, clips: Any) -> Path:
    """Two clips: one by three methods and with its source, one by two in other sizes."""
    folder = tmp_path_factory.mktemp("videos")
    for clip, names, size in (("first", ("lanzette", "zweifach", "dritter", "source"), "96x50"),
                              ("second", ("lanzette", "zweifach"), "64x48")):  # fmt: skip
        (folder / clip).mkdir()
        for name in names:
            strength = 20 * names.index(name) + 1
            noise = ("-vf", f"noise=alls={strength}:allf=t", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-qp", 0)
            clips.make(folder / clip / f"{name}.mkv", *noise, size=size, frames=6)
    return folder


class TestEntrants:
    def test_a_folder(self, videos: Path) -> None:
        first, second = find_clips(videos)
        assert (first.name, list(first.methods)) == ("first", ["dritter", "lanzette", "zweifach"])
        assert first.reference == videos / "first" / "source.mkv"
        assert (first.width, first.height, first.frames, first.rate) == (96, 50, 6, 25)
        assert second.reference is None
        assert second.pairs() == [("lanzette", "zweifach")]

    def test_the_source_may_be_hidden_or_left_out(self, videos: Path) -> None:
        hidden, _ = find_clips(videos, Reference.HIDDEN)
        assert list(hidden.methods) == ["dritter", "lanzette", "source", "zweifach"]
        assert hidden.reference is None
        off, _ = find_clips(videos, Reference.OFF)
        assert (len(off.methods), off.reference) == (3, None)

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            ({"size": "64x48"}, r"one\.mkv: has 96x64, and .*two\.mkv has 64x48"),
            ({"frames": 7}, r"one\.mkv: has 8 frames, and .*two\.mkv has 7 frames"),
            ({"rate": 30}, r"one\.mkv: has 25 frames a second, and .*two\.mkv has 30 frames a second"),
        ],
    )
    def test_those_that_do_not_meet_are_named(
        self, changed: dict[str, Any], said: str, clips: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "clip").mkdir()
        clips.make(tmp_path / "clip" / "one.mkv")
        clips.make(tmp_path / "clip" / "two.mkv", **changed)
        with pytest.raises(SourceMismatch, match=said) as caught:
            find_clips(tmp_path)
        assert "\n" not in str(caught.value)

    def test_folders_without_a_comparison_are_refused(self, moving: Path, tmp_path: Path) -> None:
        for folder, said in ((tmp_path / "none", "no such folder"), (tmp_path, "there are no clips")):
            with pytest.raises(BadOption, match=said):
                find_clips(folder)
        (tmp_path / "clip").mkdir()
        for name, said in (("one.mp4", "at least two"), ("source.mp4", "at least two"), ("one.mkv", "the same name")):
            (tmp_path / "clip" / name).symlink_to(moving)
            with pytest.raises(BadOption, match=said):
                find_clips(tmp_path)
        (tmp_path / "clip" / "one.mkv").unlink()
        (tmp_path / "clip" / "notes.txt").write_text("not a video")
        with pytest.raises(IrnError, match=r"notes\.txt"):
            find_clips(tmp_path)


class TestShowing:
    def test_what_is_seen_is_what_was_made(self, videos: Path, tmp_path: Path) -> None:
        """Even noise, which costs most, keeps 46 dB, and every part of the frame does."""
        clip, _ = find_clips(videos)
        showing = Showing("x", clip, ("zweifach", "lanzette"))
        write_showing(showing, tmp_path / "shown.mp4")
        with VideoReader(tmp_path / "shown.mp4") as reader:
            assert reader.info.codec == "h264"
            assert (reader.info.width, reader.info.height) == (96, 3 * 64)
            assert reader.info.frame_rate == 25
            shown = list(reader)
        assert [float(picture.pts_seconds) for picture in shown] == [n / 25 for n in range(6)]
        for place, path in enumerate(showing.paths()):
            with VideoReader(path) as reader:
                for whole, wanted in zip(shown, reader, strict=True):
                    y, u, v = whole.planes
                    top, height = place * stride(50), 50
                    part = (y[top:][:height], u[top // 2 :][:25], v[top // 2 :][:25])
                    psnr = compare(replace(wanted, planes=part), wanted).psnr()
                    assert min(psnr["psnr_y"] or 99, psnr["psnr_u"] or 99, psnr["psnr_v"] or 99) > 46

    def test_nothing_in_it_says_whose_it_is(self, videos: Path, tmp_path: Path) -> None:
        clip, _ = find_clips(videos)
        write_showing(Showing("x", clip, ("zweifach", "lanzette")), tmp_path / "shown.mp4")
        data = (tmp_path / "shown.mp4").read_bytes()
        assert not any(name.encode() in data for name in ("zweifach", "lanzette", "source", "first"))

    def test_other_depths_layouts_and_turned_frames_are_shown(self, clips: Any, tmp_path: Path) -> None:
        (tmp_path / "clip").mkdir()
        for name, pixels in (("ten", "yuv420p10le"), ("full", "yuv444p")):
            made = clips.make(tmp_path / f"{name}.mp4", "-pix_fmt", pixels, "-c:v", "libx264", "-crf", 1, frames=2)
            clips.ffmpeg("-display_rotation", 90, "-i", made, "-c", "copy", tmp_path / "clip" / f"{name}.mp4")
        (clip,) = find_clips(tmp_path)
        assert (clip.width, clip.height, clip.turns) == (64, 96, 1)
        write_showing(Showing("x", clip, ("ten", "full")), tmp_path / "shown.mkv")
        straight, (shown, *_) = clips.read(made)[0], clips.read(tmp_path / "shown.mkv")
        assert (shown.width, shown.height) == (64, 2 * stride(96))
        for place in (0, 1):
            part = shown.planes[0][place * stride(96) :][:96].astype(int)
            assert np.abs(part - np.rot90(straight.planes[0])).mean() < 2

    def test_one_that_ends_early_is_an_error(self, videos: Path, clips: Any, tmp_path: Path) -> None:
        clip, _ = find_clips(videos)
        short = clips.make(tmp_path / "short.mkv", size="96x50", frames=3)
        cut = replace(clip, methods={**clip.methods, "lanzette": short})
        with pytest.raises(SourceMismatch, match="not the same number of frames"):
            write_showing(Showing("x", cut, ("zweifach", "lanzette")), tmp_path / "shown.mp4")
        assert not (tmp_path / "shown.mp4").exists()


def made_up(name: str, methods: str = "abc") -> Clip:
    paths = {method: Path(method) for method in methods}
    return Clip(name=name, methods=paths, reference=None, width=2, height=2, turns=0, rate=Fraction(25), frames=1)


PLAN = Plan(clips=(made_up("one"), made_up("two", "abcd")), question=QUESTION, repeats=2)


class TestSession:
    def test_every_pair_is_shown_as_often_and_on_both_sides(self) -> None:
        trials = Counter(PLAN.trials("", 0))
        pairs = {("one", *pair) for pair in permutations("abc", 2)} | {("two", *p) for p in permutations("abcd", 2)}
        assert trials == {Trial(*pair): 1 for pair in pairs}

    def test_each_round_has_every_pair(self) -> None:
        trials = PLAN.trials("", 0)
        for part in (trials[:9], trials[9:]):
            assert len({(t.clip, frozenset((t.a, t.b))) for t in part}) == 9

    def test_order_comes_from_seed_observer_and_run(self) -> None:
        orders = {
            PLAN.trials("", 0),
            PLAN.trials("", 1),
            PLAN.trials("Ada", 0),
            replace(PLAN, seed=1).trials("", 0),
        }
        assert len(orders) == 4
        assert PLAN.trials("Ada", 1) == PLAN.trials("Ada", 1)

    def test_sides_are_tossed(self) -> None:
        once = replace(PLAN, repeats=1)
        share = np.mean([trial.a < trial.b for n in range(40) for trial in once.trials("", n)])
        assert 0.4 < share < 0.6

    def test_it_goes_on_and_begins_anew(self) -> None:
        session = Session.begin(PLAN, "Ada", [])
        given = []
        for index, trial in enumerate(session.trials):
            found = Session.begin(PLAN, "Ada", given) if given else session
            assert (found.name, found.trials, found.following) == (session.name, session.trials, index)
            assert Session.begin(PLAN, "Bob", given).following == 0
            assert Session.begin(replace(PLAN, question="Other?"), "Ada", given).following == 0
            one = answer(trial.a, trial.b, index, session=session.name, clip=trial.clip)
            given.append(replace(one, observer="Ada", plan=PLAN.digest))
        # Nobody goes on with what another machine has begun in another order, or answers it anew.
        others = [replace(one, session="other") for one in given[:3]]
        assert Session.begin(PLAN, "Ada", [*given, *others]).name == "other"
        others[1] = replace(others[1], a=others[1].b, b=others[1].a)
        assert Session.begin(PLAN, "Ada", [*given, *others]).name not in ("other", session.name)
        again = Session.begin(PLAN, "Ada", given)
        assert again.name != session.name
        assert again.trials == PLAN.trials("Ada", 1)
        assert again.following == 0

    def test_too_many_trials_are_refused(self) -> None:
        assert PLAN.count == len(PLAN.trials("", 0)) == 18
        with pytest.raises(BadOption, match="18000 pairs are too many"):
            replace(PLAN, repeats=2000)

    @pytest.mark.parametrize("question", ["", " ", "x" * 401, "a\nb", "\x1b[1m"])
    def test_questions_that_cannot_be_shown_are_refused(self, question: str) -> None:
        with pytest.raises(BadOption, match="no question"):
            replace(PLAN, question=question)


class Talker:
    """Asks a server, and keeps what it tells its listener."""

    def __init__(self, folder: Path, plan: Plan, observer: str = "") -> None:
        self.said: list[str] = []
        self.finished: list[Any] = []
        listener = Listener(self.said.append, self.finished.append)
        self.server = BlindServer(folder, plan, observer, listener)
        self.address = ""

    @contextmanager
    def talking(self) -> Iterator[Talker]:
        with self.server.serving() as self.address:
            yield self

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        async def run() -> tuple[int, bytes, dict[str, str]]:
            method = "GET" if body is None else "POST"
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
            async with (
                ClientSession() as session,
                session.request(method, self.address + path, data=data, headers=sent) as response,
            ):
                return response.status, await response.read(), dict(response.headers)

        return asyncio.run(run())

    def post(self, path: str, **body: object) -> dict[str, Any]:
        status, text, _ = self.ask(path, body)
        assert status == 200, text
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture
def folder(videos: Path, tmp_path: Path) -> Path:
    """One of its own for answers, with the same videos."""
    found = tmp_path / "blind"
    found.mkdir()
    for clip in ("first", "second"):
        (found / clip).symlink_to(videos / clip)
    return found


@pytest.fixture(scope="module")
def plan(videos: Path) -> Plan:
    return Plan(clips=find_clips(videos), question=QUESTION, repeats=1)


@pytest.fixture
def talker(folder: Path, plan: Plan) -> Iterator[Talker]:
    with Talker(folder, plan).talking() as found:
        yield found


NAMES = ("lanzette", "zweifach", "dritter", "source", "first", "second")


class TestServer:
    def test_a_run_and_no_name_before_its_end(self, talker: Talker, folder: Path) -> None:
        begun = talker.post("/begin", observer="  Ada ")
        bodies = [json.dumps(begun).encode()]
        bodies += [
            talker.ask(path)[1] for path in ("/", "/about", "/compare.js", "/player.js", begun["trials"][0]["video"])
        ]
        session, trials = begun["session"], begun["trials"]
        expected = talker.server._sessions[session].trials
        for index in range(len(trials)):
            assert talker.ask("/scores", {"session": session})[0] == 403
            assert not (folder / "scores.json").exists()
            bodies.append(json.dumps(talker.post(
                "/answer", session=session, trial=index, choice="ab"[index % 2], seconds=2)).encode())  # fmt: skip
        words = {name: sum(name.encode() in body for body in bodies) for name in NAMES[:3]}
        assert words == dict.fromkeys(words, 0)
        lines = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
        assert [(line["clip"], line["a"], line["b"], line["choice"]) for line in lines] == [
            (trial.clip, trial.a, trial.b, "ab"[index % 2]) for index, trial in enumerate(expected)
        ]
        assert {line["observer"] for line in lines} == {"Ada"}
        (scores,) = talker.post("/scores", session=session)["questions"]
        assert {standing["method"] for standing in scores["overall"]["standings"]} == set(NAMES[:3])
        assert json.loads((folder / "scores.json").read_text())["questions"] == [scores]
        assert len(talker.finished) == 1
        late = {"session": session, "trial": 0, "choice": "b", "seconds": 1}
        assert talker.ask("/answer", late)[0] == 400  # names are known now

    def test_panes_are_as_they_are_told(self, talker: Talker, videos: Path, tmp_path: Path) -> None:
        begun = talker.post("/begin", observer="")
        trials = talker.server._sessions[begun["session"]].trials
        index = next(n for n, trial in enumerate(trials) if trial.clip == "first")
        told, trial = begun["trials"][index], trials[index]
        assert (told["width"], told["height"], told["stride"], told["frames"], told["rate"]) == (96, 50, 64, 6, 25)
        status, data, headers = talker.ask(told["video"])
        assert (status, headers["Content-Type"]) == (200, "video/mp4")
        (tmp_path / "got.mp4").write_bytes(data)
        with VideoReader(tmp_path / "got.mp4") as reader:
            shown = next(iter(reader)).planes[0].astype(int)
        for name, place in ((trial.a, told["a"]), (trial.b, told["b"]), ("source", told["reference"])):
            with VideoReader(videos / "first" / f"{name}.mkv") as reader:
                wanted = next(iter(reader)).planes[0]
            assert np.abs(shown[place * 64 :][:50] - wanted).mean() < 2

    def test_places_and_addresses_say_nothing(self, folder: Path, plan: Plan) -> None:
        """They are tossed anew each time."""
        seen = set()
        for _ in range(12):
            talker = Talker(folder, plan)
            with talker.talking():
                (told, *_) = talker.post("/begin", observer="")["trials"]
            seen.add((told["video"], told["a"]))
        assert len({video for video, _ in seen}) == 12
        assert {place for _, place in seen} == {0, 1}

    def test_it_goes_on_with_the_next_run_of_the_command(self, talker: Talker, folder: Path) -> None:
        begun = talker.post("/begin", observer="Ada")
        talker.post("/answer", session=begun["session"], trial=0, choice="b", seconds=1)
        assert talker.server.unfinished() == ["Ada: 1 of 4"]
        assert talker.post("/begin", observer="Ada")["session"] == begun["session"]  # the page was loaded again
        with Talker(folder, talker.server._plan).talking() as other:
            again = other.post("/begin", observer="Ada")
            assert again["session"] == begun["session"]
            assert again["given"] == ["b", None, None, None]
            assert other.post("/begin", observer="Bob")["given"] == [None] * 4

    def test_an_answer_may_be_changed(self, talker: Talker, folder: Path) -> None:
        session = talker.post("/begin", observer="")["session"]
        for choice in "aabb":
            talker.post("/answer", session=session, trial=0, choice=choice, seconds=1)
        assert len((folder / "answers.jsonl").read_text().splitlines()) == 2  # the same again is nothing new
        assert [a.choice for a in read_answers(folder)] == ["b"]

    @pytest.mark.parametrize(
        "changed",
        [
            {"trial": 1},  # not yet
            {"trial": 4},
            {"trial": -1},
            {"trial": 0.0},
            {"trial": True},
            {"trial": "0"},
            {"trial": 1 << 200},
            {"choice": "c"},
            {"choice": None},
            {"choice": ["a"]},
            {"seconds": -1},
            {"seconds": float("nan")},
            {"seconds": float("inf")},
            {"session": "none"},
            {"session": ["x"]},
            {"session": None},
            {"more": 1},
        ],
    )
    def test_other_answers_are_refused(self, changed: dict[str, object], talker: Talker, folder: Path) -> None:
        session = talker.post("/begin", observer="")["session"]
        body = {"session": session, "trial": 0, "choice": "a", "seconds": 1.0}
        assert talker.ask("/answer", body | changed)[0] == 400
        assert not (folder / "answers.jsonl").exists()
        assert talker.ask("/answer", body)[0] == 200

    def test_no_end_of_answers_and_observers(self, talker: Talker, folder: Path) -> None:
        session = talker.post("/begin", observer="")["session"]
        kinds = Counter(
            talker.ask("/answer", {"session": session, "trial": 0, "choice": "ab"[n % 2], "seconds": 1})[0]
            for n in range(45)
        )
        assert kinds[429] == 3  # but for those that change nothing
        assert len((folder / "answers.jsonl").read_text().splitlines()) == 40
        kinds = Counter(talker.ask("/begin", {"observer": f"o{n}"})[0] for n in range(105))
        assert kinds == {200: 99, 503: 6}

    def test_what_is_no_request_of_the_page_is_refused(self, talker: Talker) -> None:
        asked = talker.ask
        for body in (b"", b"{", b"[" * 900, b"[]", b"null", b'{"observer": 1}', b'{"observer": "\\u001b"}', b"\xff"):
            assert asked("/begin", body)[0] == 400, body
        assert asked("/begin", {"observer": "x" * 61})[0] == 400
        assert asked("/begin", b"x" * 2000)[0] == 413
        assert asked("/begin", b'{"observer": ""}', Content_Type="text/plain")[0] == 415
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
            for path in ("/", "/about"):
                assert asked(path, **headers)[0] == 403
            assert asked("/begin", {"observer": ""}, **headers)[0] == 403

    def test_nothing_of_the_folder_is_served(self, talker: Talker, folder: Path) -> None:
        assert talker.address.startswith("http://127.0.0.1:")
        talker.post("/begin", observer="")
        paths = ["/answers.jsonl", "/first/source.mkv", "/video/", "/video/first", "/video/..%2f..%2fanswers.jsonl"]
        for path in (*paths, f"/video/{folder}", "/server.py", "/page/index.html", "/scores"):
            assert talker.ask(path)[0] in (404, 405), path
        for path, kind in (("/", "text/html"), ("/compare.js", "text/javascript"), ("/base.css", "text/css")):
            status, _, headers = talker.ask(path)
            assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
            assert "default-src 'self'" in headers["Content-Security-Policy"]

    def test_why_a_clip_cannot_be_shown_is_said_in_the_terminal_alone(self, videos: Path, tmp_path: Path) -> None:
        clip = replace(
            find_clips(videos)[1], methods={"lanzette": tmp_path / "lanzette.mkv", "zweifach": tmp_path / "x"}
        )
        with Talker(tmp_path, Plan(clips=(clip,), question=QUESTION)).talking() as talker:
            told = talker.post("/begin", observer="")["trials"][0]
            status, text, _ = talker.ask(told["video"])
            assert status == 500
            assert b"lanzette" not in text
            assert len(talker.said) == 1
            assert "no such file" in talker.said[0]
            for path in clip.methods.values():
                path.symlink_to(next(iter(find_clips(videos)[1].methods.values())))
            assert talker.ask(told["video"])[0] == 200  # it is tried again

    def test_only_the_last_videos_are_kept(self, talker: Talker) -> None:
        videos = list(dict.fromkeys(trial["video"] for trial in talker.post("/begin", observer="")["trials"]))
        sizes = [len(talker.ask(video)[1]) for video in videos]
        assert len(videos) == 4
        folder = talker.server._showings._folder
        assert len(list(folder.iterdir())) == 4
        talker.server._showings._named |= {  # two more pairs than there are
            name: replace(showing, name=name)
            for name, showing in zip(("x", "y"), list(talker.server._showings._named.values()), strict=False)
        }
        for name in ("x", "y"):
            assert talker.ask(f"/video/{name}")[0] == 200
        assert len(list(folder.iterdir())) == 4
        assert len(talker.ask(videos[0])[1]) == sizes[0]  # made again

    def test_a_folder_that_cannot_take_answers_is_named_first(self, folder: Path) -> None:
        (folder / "answers.jsonl").mkdir()
        with pytest.raises(IrnError, match=r"answers\.jsonl: the output is a folder"):
            Talker(folder, PLAN)


class TestCommand:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--blind", "{}", "a", "b"], "excludes two studies"),
            (["a"], "two studies are needed, not 1"),
            ([], "two studies are needed, not 0"),
            (["a", "b", "--ask", "x"], "--ask goes with --blind DIR"),
            (["a", "b", "--scores"], "--scores goes with --blind DIR"),
            (["--blind", "{}"], "there are no clips"),
            (["--blind", "{}/none"], "no such folder"),
            (["--blind", "{}", "--repeats", "0"], "0 is not in the range"),
        ],
    )
    def test_wrong_usage(
        self, arguments: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["compare", *(argument.format(tmp_path) for argument in arguments)]) == 2
        assert said in capfd.readouterr().err

    def test_scores_alone(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "--blind", str(tmp_path), "--scores"]) == 1
        assert "there are no answers" in capfd.readouterr().err
        for one in answers(lambda x, y: x < y, "ab", 12):
            append(tmp_path, one)
        assert main(["compare", "--blind", str(tmp_path), "--scores"]) == 0
        shown = capfd.readouterr().out
        assert "a is preferred to b." in shown
        assert "12 of 12" in shown
        assert (tmp_path / "scores.json").is_file()

    def test_missing_folders(self, tmp_path: Path) -> None:
        with pytest.raises(MissingFile):
            read_answers(tmp_path / "none")
