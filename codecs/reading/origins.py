"""Where the files of a playlist come from: a web server, or a folder. Both are bounded, and neither leads elsewhere."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, Self
from urllib.parse import unquote, urljoin, urlsplit

from irn_video.codecs.errors import LinkFailed, MissingFile, UnreadableVideo

_ADDRESS = re.compile(r"(https?):/+(.+)", re.IGNORECASE)  # a `Path` has one of the two slashes left
_MAX_REDIRECTS = 5
_SILENCE_SECONDS = 10.0  # without a byte
_START_SECONDS, _SLOWEST = 30.0, 1000  # bytes a second, after so long
_CHUNK = 1 << 16


class Origin(Protocol):
    """A file that can be read, and others that it names."""

    def at(self, uri: str) -> Origin:
        """The file that a playlist here means by this.

        Raises:
            UnreadableVideo: it may not mean that.
        """

    def content(self, limit: int) -> tuple[bytes, Origin]:
        """All of it, and where it really was.

        Raises:
            LinkFailed, MissingFile, UnreadableVideo: it cannot be read, or is longer than `limit` bytes.
        """

    def copy(self, to: IO[bytes], limit: int) -> int:
        """Write all of it somewhere; returns how many bytes that were.

        Raises:
            LinkFailed, MissingFile, UnreadableVideo: likewise.
        """


def address_of(path: Path | str) -> str | None:
    """The address of a web server, also of one that was taken for a path; None for a file."""
    match = _ADDRESS.fullmatch(str(path))
    return f"{match[1].lower()}://{match[2]}" if match else None


def origin_of(path: Path | str) -> Origin:
    """What a user has named: an address, or a file."""
    address = address_of(path)
    return FileOrigin(Path(path), Path(path).absolute().parent) if address is None else WebOrigin(address)


@dataclass(frozen=True)
class FileOrigin:
    """A file; what it names lies in `folder` or below."""

    path: Path
    folder: Path

    def at(self, uri: str) -> Self:
        """See `Origin`."""
        parts = urlsplit(uri)
        if parts.scheme or parts.netloc:
            raise UnreadableVideo(f"a playlist on disk may not lead to {uri[:80]!r}", path=self.path)
        path = self.path.parent / unquote(parts.path)
        try:
            inside = path.resolve().is_relative_to(self.folder.resolve())
        except (OSError, ValueError, RuntimeError):  # a NUL, a loop of links
            inside = False
        if not inside:
            raise UnreadableVideo(f"a playlist may not lead out of its folder: {uri[:80]!r}", path=self.path)
        return type(self)(path, self.folder)

    def content(self, limit: int) -> tuple[bytes, Origin]:
        """See `Origin`."""
        with self._opened(limit) as file:
            return file.read(limit), self

    def copy(self, to: IO[bytes], limit: int) -> int:
        """See `Origin`."""
        with self._opened(limit) as file:
            return sum(to.write(chunk) for chunk in iter(lambda: file.read(_CHUNK), b""))

    @contextmanager
    def _opened(self, limit: int) -> Iterator[IO[bytes]]:
        try:
            if not self.path.is_file():
                raise MissingFile("no such file", path=self.path, hint="is the folder complete?")
            if self.path.stat().st_size > limit:
                raise UnreadableVideo(f"it is larger than {limit} bytes", path=self.path)
            file = self.path.open("rb")
        except PermissionError as error:
            raise UnreadableVideo("no permission to read the file", path=self.path) from error
        with file:
            yield file


@dataclass(frozen=True)
class WebOrigin:
    """What a web server has at an address; it may name others, and send on to them, by HTTP and HTTPS alone."""

    address: str

    def at(self, uri: str) -> Self:
        """See `Origin`."""
        try:
            address = urljoin(self.address, uri)
            fits = urlsplit(address).scheme in ("http", "https") and bool(urlsplit(address).hostname)
        except ValueError:
            fits = False
        if not fits:
            raise UnreadableVideo(
                f"{self.address}: a playlist may not lead to {uri[:80]!r}", hint="only http and https"
            )
        return type(self)(address)

    def content(self, limit: int) -> tuple[bytes, Origin]:
        """See `Origin`."""
        with self._opened(limit) as (chunks, address):
            return b"".join(chunks), type(self)(address)

    def copy(self, to: IO[bytes], limit: int) -> int:
        """See `Origin`."""
        with self._opened(limit) as (chunks, _):
            return sum(to.write(chunk) for chunk in chunks)

    @contextmanager
    def _opened(self, limit: int) -> Iterator[tuple[Iterator[bytes], str]]:
        """Its content, as it comes, and the address that it came from in the end."""
        try:
            with _OPENER.open(urllib.request.Request(self.address), timeout=_SILENCE_SECONDS) as response:
                yield self._chunks(response, limit), response.geturl()
        except urllib.error.HTTPError as error:
            error.close()
            raise LinkFailed(
                f"{self.address}: the server says {error.code} {error.reason}", hint=_hint(error)
            ) from error
        except TimeoutError as error:
            raise self._stalled() from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._stalled() from error
            raise LinkFailed(f"{self.address}: cannot be reached: {error.reason}", hint="check the address") from error
        except (http.client.HTTPException, ConnectionError, ValueError) as error:
            what = str(error) or type(error).__name__
            raise LinkFailed(f"{self.address}: the server's answer is damaged: {what}", hint="try again") from error

    def _chunks(self, response: http.client.HTTPResponse, limit: int) -> Iterator[bytes]:
        announced = response.headers.get("Content-Length", "")
        size = int(announced) if announced.isdecimal() and len(announced) < 20 else None
        began, got = time.monotonic(), 0
        while chunk := response.read1(_CHUNK):
            got += len(chunk)
            if got > limit or (size or 0) > limit:
                raise UnreadableVideo(f"{self.address}: it is larger than {limit} bytes")
            if time.monotonic() - began > _START_SECONDS + got / _SLOWEST:
                raise self._stalled()
            yield chunk
        if size is not None and got < size:
            raise LinkFailed(f"{self.address}: only {got} of {size} bytes have come", hint="try again")

    def _stalled(self) -> LinkFailed:
        return LinkFailed(f"{self.address}: the server has stalled", hint="try again later")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """As Python's, but fewer, and to web servers alone."""

    max_redirections = _MAX_REDIRECTS
    max_repeats = _MAX_REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """See `urllib.request`."""
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise UnreadableVideo(f"{req.full_url}: the server sends on to {newurl[:80]!r}", hint="only http and https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """With what HTTP needs: the default one reads files and FTP too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _hint(error: urllib.error.HTTPError) -> str:
    if error.code < 400:
        return f"at most {_MAX_REDIRECTS} times, and by http and https alone"
    return "check the address" if error.code in (404, 410) else "try again later"


_OPENER = _opener()
