"""Serves the comparison: the page, what it plays, and what it asks; takes the answers and writes them down.

The page learns no method's name before the last answer: videos and panes have random names and places. What is posted
is small, of a known form, and about trials that there are; nothing of the folder is served as it lies there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web
from irn_video.codecs.errors import BadOption, IrnError
from irn_video.pipeline.blind.answers import (
    Answer,
    Side,
    append,
    as_name,
    as_side,
    check_number,
    check_writable,
    latest,
    read_answers,
)
from irn_video.pipeline.blind.scores import Scores, as_json, score, write_scores
from irn_video.pipeline.blind.session import Plan, Session
from irn_video.pipeline.blind.showing import Showings
from irn_video.pipeline.serving.site import HEADERS, Site, add_page

_LARGEST = 1024  # bytes of what is posted
_MAX_SESSIONS = 100
_MAX_CHANGES = 10  # of an answer, in the mean


@dataclass(frozen=True)
class Listener:
    """Who is told what happens, from the thread that serves.

    Attributes:
        say: called with what people should read.
        finished: called with the scores whenever an observer has answered all.
    """

    say: Callable[[str], None]
    finished: Callable[[list[Scores]], None]


class BlindServer:
    """The page and what it talks to.

    Args:
        folder: where the answers go.
        plan: what is asked.
        observer: the name that the page suggests.
        listener: see `Listener`.

    Raises:
        BadOption: a name that cannot be shown.
        IrnError: the answers can be neither read nor written, see `read_answers` and `check_writable`.
    """

    def __init__(self, folder: Path, plan: Plan, observer: str, listener: Listener) -> None:
        self._folder, self._plan, self._listener = folder, plan, listener
        try:
            self._observer = as_name(observer)
        except ValueError as error:
            raise BadOption(str(error)) from error
        check_writable(folder)
        self._answers = read_answers(folder)
        self._sessions: dict[str, Session] = {}
        self._changes = 0
        self._site = Site()

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """Serve until left; gives the address to open.

        Raises:
            LinkFailed: see `Site.serving`.
        """
        with TemporaryDirectory(prefix="irn-blind-") as folder:
            self._showings = Showings(self._plan.clips, Path(folder))
            with self._showings.making(), self._site.serving(self._application(), port) as address:
                yield address

    def unfinished(self) -> list[str]:
        """What is left to be answered of what was begun here, in words."""
        left = [session for session in self._sessions.values() if not session.complete]
        return [f"{s.observer or 'answered'}: {len(s.given)} of {len(s.trials)}" for s in left]

    def _application(self) -> web.Application:
        application = self._site.application(largest=_LARGEST)
        add_page(application, files("irn_video.pipeline.blind") / "page", HEADERS)
        application.router.add_get("/about", self._about)
        application.router.add_get("/video/{name}", self._video)
        application.router.add_post("/begin", self._begin)
        application.router.add_post("/answer", self._answered)
        application.router.add_post("/scores", self._scores)
        return application

    async def _about(self, _: web.Request) -> web.Response:
        plan = self._plan
        reference = any(clip.reference for clip in plan.clips)
        return _said(question=plan.question, trials=plan.count, observer=self._observer, reference=reference)

    async def _video(self, request: web.Request) -> web.StreamResponse:
        making = self._showings.video(request.match_info["name"])
        if making is None:
            raise web.HTTPNotFound(headers=HEADERS)
        try:
            path = await asyncio.shield(asyncio.wrap_future(making))
        except IrnError as error:  # it names files, and so methods
            self._listener.say(str(error))
            text = "This clip cannot be shown. The command in the terminal says why."
            raise web.HTTPInternalServerError(text=text, headers=HEADERS) from error
        return web.FileResponse(path, headers={**HEADERS, "Cache-Control": "no-store", "Content-Type": "video/mp4"})

    async def _begin(self, request: web.Request) -> web.Response:
        (observer,) = await _posted(request, "observer")
        try:
            session = self._session_of(as_name(observer))
        except ValueError as error:
            raise _refused(str(error)) from error
        shown = [self._showings.of(trial).describe(trial) for trial in session.trials]
        given = [session.given.get(index) for index in range(len(shown))]
        return _said(session=session.name, trials=shown, given=given)

    async def _answered(self, request: web.Request) -> web.Response:
        name, trial, choice, seconds = await _posted(request, "session", "trial", "choice", "seconds")
        session = self._known(name)
        try:
            index, side, taken = int(check_number(trial, whole=True)), as_side(choice), check_number(seconds)
        except ValueError as error:
            raise _refused("no answer") from error
        if session.complete or (index not in session.given and index != session.following):
            raise _refused("that was not asked")
        if session.given.get(index) != side:
            await self._take(session, index, side, round(taken, 2))
        return _said(complete=session.complete)

    async def _scores(self, request: web.Request) -> web.Response:
        (name,) = await _posted(request, "session")
        if not self._known(name).complete:
            raise web.HTTPForbidden(text="not before the last answer", headers=HEADERS)
        found = await _scored(self._answers)
        return _said(**as_json([scores for scores in found if scores.question == self._plan.question]))

    def _session_of(self, observer: str) -> Session:
        """The one that is open here, or was left unfinished, or a new one."""
        for session in self._sessions.values():
            if session.observer == observer and not session.complete:
                return session
        if len(self._sessions) >= _MAX_SESSIONS:
            raise web.HTTPServiceUnavailable(text="too many observers; start the command again", headers=HEADERS)
        session = Session.begin(self._plan, observer, self._answers)
        self._sessions[session.name] = session
        return session

    def _known(self, name: object) -> Session:
        session = self._sessions.get(name) if isinstance(name, str) else None
        if session is None:
            raise _refused("no such session; load the page again")
        return session

    async def _take(self, session: Session, index: int, side: Side, seconds: float) -> None:
        """Write an answer down, and the scores after the last one."""
        if self._changes >= _MAX_CHANGES * len(session.trials):
            raise web.HTTPTooManyRequests(text="too many answers; start the command again", headers=HEADERS)
        trial = session.trials[index]
        answer = Answer(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            question=self._plan.question,
            observer=session.observer,
            plan=self._plan.digest,
            session=session.name,
            trial=index,
            clip=trial.clip,
            a=trial.a,
            b=trial.b,
            choice=side,
            seconds=seconds,
        )
        try:
            append(self._folder, answer)
        except IrnError as error:
            self._listener.say(str(error))
            raise web.HTTPInternalServerError(text="The answer could not be written.", headers=HEADERS) from error
        self._changes += 1
        self._answers.append(answer)
        session.given[index] = side
        if session.complete:
            found = await _scored(self._answers)
            try:
                write_scores(self._folder, found)
            except IrnError as error:
                self._listener.say(str(error))
            self._listener.finished(found)


def _said(**what: object) -> web.Response:
    return web.json_response(what, headers=HEADERS)


def _refused(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=text, headers=HEADERS)


async def _posted(request: web.Request, *names: str) -> list[object]:
    """The values of a JSON object that has these names and no others."""
    if request.content_type != "application/json":  # what pages of other sites cannot post unasked
        raise web.HTTPUnsupportedMediaType(text="JSON is needed", headers=HEADERS)
    try:
        found = json.loads(await request.text())
    except (ValueError, LookupError, RecursionError) as error:
        raise _refused("no JSON") from error
    if not isinstance(found, dict) or found.keys() != set(names):
        raise _refused(f"{', '.join(names)} are needed")
    return [found[name] for name in names]


async def _scored(answers: Sequence[Answer]) -> list[Scores]:
    """In another thread: many answers take their time."""
    return await asyncio.get_running_loop().run_in_executor(None, score, latest(answers))
