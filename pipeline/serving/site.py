"""HTTP for pages of ours, in a thread of its own.

Pages of other sites are refused (Origin) and so are names that do not belong to this server (DNS rebinding); what is
served has headers that let a page load from here alone.
"""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import web
from irn_video.codecs.errors import LinkFailed

Result = TypeVar("Result")

POLICY = (
    "default-src 'self'; media-src 'self' blob:; connect-src 'self' ws: wss:; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content Security Policy of all pages."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Of all answers."""
LOCAL = "127.0.0.1"
"""Where pages are served unless the user wants another address."""
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_LOCAL_NAMES = ("localhost", LOCAL, "::1")


class Site:
    """A server at one address of this machine, for one use.

    Args:
        host: address to listen at.

    Attributes:
        loop: of the thread that answers; nothing runs in it before `serving` and after it.
    """

    def __init__(self, host: str = LOCAL) -> None:
        self._host = host
        self.loop = asyncio.new_event_loop()

    def application(self, *, largest: int = 1024) -> web.Application:
        """One that has the style of all pages (`/base.css`) and refuses others than this server's pages.

        Args:
            largest: bytes of a request's body.
        """
        application = web.Application(middlewares=[self._guarded], client_max_size=largest)
        application.router.add_get("/favicon.ico", _nothing)
        add_page(application, files("irn_video.pipeline.serving") / "page", HEADERS)
        return application

    @contextmanager
    def serving(self, application: web.Application, port: int) -> Iterator[str]:
        """Serve until left; gives the address to open. Port 0 takes a free one.

        Raises:
            LinkFailed: the port is taken, or the address is not of this machine.
        """
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        thread = threading.Thread(target=self.loop.run_forever, name="irn-page", daemon=True)
        thread.start()
        try:
            yield self._wait(self._listen(runner, port))
        finally:
            self._wait(runner.cleanup())
            self.loop.call_soon_threadsafe(self.loop.stop)
            thread.join()
            self.loop.close()

    def _wait(self, what: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result()

    async def _listen(self, runner: web.AppRunner, port: int) -> str:
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, port).start()
        except OSError as error:
            raise LinkFailed(
                f"cannot serve at {self._host}:{port}: {error.strerror}", hint="choose another port"
            ) from error
        port = runner.addresses[0][1]
        host = LOCAL if self._host in ("0.0.0.0", "::") else self._host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not self._is_ours(request.host):
            raise web.HTTPForbidden(text="this name is not of this server", headers=HEADERS)
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="pages of other sites are not served", headers=HEADERS)
        response: web.StreamResponse = await handler(request)
        return response

    def _is_ours(self, host: str) -> bool:
        """The address that was asked for, or any where every address is served: names can be made to point here."""
        name = urlsplit(f"//{host}").hostname or ""
        if name in (*_LOCAL_NAMES, self._host):
            return True
        try:
            return self._host in ("0.0.0.0", "::") and bool(ipaddress.ip_address(name))
        except ValueError:
            return False


def add_page(application: web.Application, folder: Traversable, headers: Mapping[str, str], under: str = "/") -> None:
    """Serve the files of a page that lie in a folder, and nothing else of it; `index.html` as the folder itself."""
    for file in folder.iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _TYPES:
            path = under if file.name == "index.html" else f"{under}{file.name}"
            application.router.add_get(path, _file(file.read_bytes(), _TYPES[suffix], headers))


def _file(data: bytes, kind: str, headers: Mapping[str, str]) -> Any:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=data, content_type=kind, charset="utf-8", headers=headers)

    return handler


async def _nothing(_: web.Request) -> web.Response:
    return web.Response(status=204, headers=HEADERS)
