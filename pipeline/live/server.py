"""Serves the page: its files over HTTP, video and figures to it and settings from it over one WebSocket.

Where a browser may restore the frames itself, a second page, the modules of the player (receiver/web), what they need
(`runtime.py`) and a second WebSocket with the LR stream are served too.

What a browser may do is bounded: see `serving.site`, which holds for WebSockets too (RFC 6455 10.2); messages are small
and few, a slow browser skips to the next keyframe.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from irn_video.codecs.errors import BadOption, IrnError
from irn_video.pipeline.live.runtime import BrowserRuntime
from irn_video.pipeline.live.wall import Fragment
from irn_video.pipeline.serving.site import HEADERS, LOCAL, POLICY, Site, add_page

Setting = Callable[[str, object], None]
"""Called with the name and the value of a setting that a browser wants; raises BadOption for what cannot be."""

# Threads of WebAssembly share memory, which browsers allow only to pages that let nothing of other sites in.
_ISOLATED_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": f"{POLICY}; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
_MESSAGE_BYTES = 1024
_MESSAGES_PER_SECOND = 20
_MAX_CLIENTS = 16
_BEHIND = 100  # items that may wait for a browser
_HEARTBEAT_SECONDS = 10.0


@dataclass(frozen=True)
class SmallPicture:
    """A frame as it came over the link.

    Attributes:
        stream: what a browser has to know about the stream, JSON; the same for all frames until it changes.
        head: what it has to know about the frame, JSON.
        data: H.264, an access unit in Annex B's form.
        keyframe: a decoder may begin here; the stream changes here only.
    """

    stream: str
    head: str
    data: bytes
    keyframe: bool


@dataclass(eq=False)
class _Client:
    """One browser: what waits for it, whether it needs a keyframe before more frames, which LR stream it knows."""

    waiting: asyncio.Queue[bytes | str] = field(default_factory=asyncio.Queue)
    joined: bool = False
    stream: str = ""

    def text(self, message: str) -> None:
        if self.waiting.qsize() < 2 * _BEHIND:
            self.waiting.put_nowait(message)

    def fragment(self, fragment: Fragment) -> None:
        if self._follows(fragment.keyframe):
            self.waiting.put_nowait(fragment.data)

    def small(self, picture: SmallPicture) -> None:
        if not self._follows(picture.keyframe):
            return
        if picture.stream != self.stream:
            self.stream = picture.stream
            self.waiting.put_nowait(picture.stream)
        self.waiting.put_nowait(picture.head)
        self.waiting.put_nowait(picture.data)

    def _follows(self, keyframe: bool) -> bool:
        """Whether it gets this picture: not while too much waits for it, and then from a keyframe on."""
        room = self.waiting.qsize() < _BEHIND
        self.joined = room and (self.joined or keyframe)
        return self.joined


class PageServer:
    """The page; its methods may be called from any thread.

    Args:
        setting: what is done with a setting that a browser wants.
        host: address to listen at.
        runtime: what browsers need that restore the frames themselves; None where they may not.

    Attributes:
        clients: browsers that watch now.
        restoring: browsers that get the LR stream now.
    """

    def __init__(self, setting: Setting, host: str = LOCAL, runtime: BrowserRuntime | None = None) -> None:
        self._setting, self._runtime = setting, runtime
        self._site = Site(host)
        self._loop = self._site.loop
        self._clients: set[_Client] = set()
        self._restoring: set[_Client] = set()
        self._start: tuple[str, bytes] | None = None

    @property
    def clients(self) -> int:
        """How many browsers watch."""
        return len(self._clients)

    @property
    def restoring(self) -> int:
        """How many browsers get the LR stream."""
        return len(self._restoring)

    @contextmanager
    def serving(self, port: int) -> Iterator[str]:
        """Serve until left; gives the address to open. Port 0 takes a free one.

        Raises:
            LinkFailed: the port is taken, or the address is not of this machine.
        """
        with self._site.serving(self._application(), port) as address:
            yield address

    def begin(self, start: Mapping[str, object], head: bytes) -> None:
        """A video begins: what the page has to know about it, and its first bytes."""
        text = json.dumps({"type": "start", **start})
        self._loop.call_soon_threadsafe(self._begin, text, head)

    def show(self, fragment: Fragment) -> None:
        """The next part of the video."""
        self._loop.call_soon_threadsafe(self._each, _Client.fragment, fragment)

    def send_small(self, picture: SmallPicture) -> None:
        """The next frame of the LR stream."""
        self._loop.call_soon_threadsafe(self._each_restoring, picture)

    def tell(self, kind: str, **what: object) -> None:
        """Figures or a note."""
        self._loop.call_soon_threadsafe(self._each, _Client.text, json.dumps({"type": kind, **what}))

    def _begin(self, text: str, head: bytes) -> None:
        self._start = text, head
        for client in self._clients:
            self._introduce(client)

    def _introduce(self, client: _Client) -> None:
        client.joined = False
        if self._start is not None:
            text, head = self._start
            client.waiting.put_nowait(text)
            client.waiting.put_nowait(head)

    def _each(self, put: Callable[[_Client, Any], None], what: object) -> None:
        for client in self._clients:
            put(client, what)

    def _each_restoring(self, picture: SmallPicture) -> None:
        for client in self._restoring:
            client.small(picture)

    def _application(self) -> web.Application:
        application = self._site.application()
        application.router.add_get("/socket", self._socket)
        pages = files("irn_video.pipeline.live")
        add_page(application, pages / "page", HEADERS)
        if self._runtime is not None:
            add_page(application, pages / "browser_page", _ISOLATED_HEADERS)
            add_page(application, files("irn_video.receiver") / "web", _ISOLATED_HEADERS, "/irn-player/")
            application.router.add_get("/lr", self._lr_socket)
            self._runtime.add_to(application, _ISOLATED_HEADERS)
        return application

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        client = _Client()
        self._introduce(client)
        return await _served(request, client, self._clients, self._listen_to)

    async def _lr_socket(self, request: web.Request) -> web.StreamResponse:
        return await _served(request, _Client(), self._restoring, _listen_to_nothing)

    async def _listen_to(self, socket: web.WebSocketResponse, client: _Client) -> None:
        since, count = time.monotonic(), 0
        async for message in socket:
            now = time.monotonic()
            since, count = (now, 1) if now - since >= 1 else (since, count + 1)
            if count > _MESSAGES_PER_SECOND or message.type is not WSMsgType.TEXT:
                await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"too much")
                return
            try:
                name, value = _wanted(message.data)
                await asyncio.get_running_loop().run_in_executor(None, self._setting, name, value)
            except IrnError as error:
                client.text(json.dumps({"type": "note", "text": str(error)}))


async def _served(
    request: web.Request,
    client: _Client,
    clients: set[_Client],
    listen_to: Callable[[web.WebSocketResponse, _Client], Awaitable[None]],
) -> web.WebSocketResponse:
    """One of a bounded number of clients, from its coming until it goes."""
    if len(clients) >= _MAX_CLIENTS:
        raise web.HTTPServiceUnavailable(text="too many browsers watch", headers=HEADERS)
    socket = web.WebSocketResponse(max_msg_size=_MESSAGE_BYTES, heartbeat=_HEARTBEAT_SECONDS, compress=False)
    clients.add(client)
    try:
        await socket.prepare(request)
        feeding = asyncio.create_task(_feed(socket, client))
        try:
            await listen_to(socket, client)
        finally:
            feeding.cancel()
    finally:
        clients.discard(client)
    return socket


async def _listen_to_nothing(socket: web.WebSocketResponse, _: _Client) -> None:
    """Who gets the LR stream has nothing to say."""
    async for _message in socket:
        await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"nothing is to be said here")


def _wanted(message: str) -> tuple[str, object]:
    """Name and value of a setting.

    Raises:
        BadOption: the message is none.
    """
    try:
        found = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise BadOption("a message that is no JSON") from error
    if not isinstance(found, dict) or not isinstance(name := found.get("set"), str) or "value" not in found:
        raise BadOption("a message that sets nothing")
    return name, found["value"]


async def _feed(socket: web.WebSocketResponse, client: _Client) -> None:
    while True:
        item = await client.waiting.get()
        try:
            await (socket.send_str(item) if isinstance(item, str) else socket.send_bytes(item))
        except ConnectionError:
            return
