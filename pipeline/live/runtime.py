"""What a browser needs to restore frames itself: onnxruntime-web, which the user has, and the networks as files.

Nothing of onnxruntime-web comes with this project, and nothing is fetched: its files are served as they lie in the
folder that the user names.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from aiohttp import web
from irn_video.codecs.errors import BadOption, IrnError
from irn_video.pipeline.zoo.registry import load_weights
from irn_video.pipeline.zoo.web_export import MANIFEST, MANIFEST_VERSION, web_files

_NAME = re.compile(r"ort[\w.-]*\.(mjs|js|wasm)")
_TYPES = {"mjs": "text/javascript", "js": "text/javascript", "wasm": "application/wasm"}
_LARGEST = 100 << 20  # bytes; onnxruntime-web's largest has 28 MB
_NEEDED = "ort.wasm.min.mjs"
_INSTALL = "npm install onnxruntime-web, then name its folder node_modules/onnxruntime-web/dist"


class BrowserRuntime:
    """Files and networks.

    Args:
        folder: `dist` of npm's onnxruntime-web.
        networks: names of the networks that browsers may have, all of them codec-aware.

    Raises:
        BadOption: no such folder, or none of that package.
    """

    def __init__(self, folder: Path, networks: Collection[str]) -> None:
        self._files = _files_in(folder)
        self._networks = frozenset(networks)
        self._made: dict[str, bytes] = {}
        self._making = threading.Lock()

    def file(self, name: str) -> bytes | None:
        """The manifest or a file that it names, see `web_export.py`; None for others. Made when first asked for.

        Raises:
            IrnError: see `web_files` and `load_weights`.
        """
        with self._making:
            if not self._made:
                entries = {}
                for network in sorted(self._networks):
                    entries[network], files = web_files(load_weights(network))
                    self._made |= files
                manifest = {"version": MANIFEST_VERSION, "networks": entries}
                self._made[MANIFEST] = json.dumps(manifest).encode()
            return self._made.get(name)

    def add_to(self, application: web.Application, headers: Mapping[str, str]) -> None:
        """Serve all of it: `/ort/NAME` and `/networks/NAME`, with these headers."""

        async def serve_file(request: web.Request) -> web.StreamResponse:
            name = request.match_info["name"]
            if (path := self._files.get(name)) is None:
                raise web.HTTPNotFound(headers=headers)
            return web.FileResponse(path, headers={**headers, "Content-Type": _TYPES[path.suffix[1:]]})

        async def serve_network(request: web.Request) -> web.StreamResponse:
            name = request.match_info["name"]
            try:
                content = await asyncio.get_running_loop().run_in_executor(None, self.file, name)
            except IrnError as error:
                raise web.HTTPInternalServerError(text=str(error), headers=headers) from error
            if content is None:
                raise web.HTTPNotFound(headers=headers)
            return web.Response(body=content, content_type="application/octet-stream", headers=headers)

        application.router.add_get("/ort/{name}", serve_file)
        application.router.add_get("/networks/{name}", serve_network)


def _files_in(folder: Path) -> dict[str, Path]:
    """Those of onnxruntime-web that a browser may ask for, by name: what is asked for never becomes a path."""
    if not folder.is_dir():
        raise BadOption("no such folder with onnxruntime-web", path=folder, hint=_INSTALL)
    found = {path.name: path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_file()}
    found = {name: path for name, path in found.items() if path.stat().st_size <= _LARGEST}
    if _NEEDED not in found:
        raise BadOption(f"has no {_NEEDED} of onnxruntime-web", path=folder, hint=_INSTALL)
    return found
