"""A real mpv shows LR streams at full size, on a display that nobody sees."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irn_video.pipeline.system.opencv import cv2
from irn_video.receiver import ReceiveOptions, receive
from irn_video.sender import SendOptions, send

WIDTH, HEIGHT = 171, 123
NAME = "irn-h264-x2-lite"
_PLAIN = (
    "--no-config",
    "--no-audio",
    "--pause",
    "--no-border",
    "--no-osc",
    "--osd-level=0",
    "--vo=gpu-next",
    "--demuxer=lavf",
)
_EXACT = ("--dither=no", "--keepaspect=no", "--screenshot-high-bit-depth=no", f"--geometry={WIDTH}x{HEIGHT}")
_SCRIPT = """
local function shoot() mp.commandv("screenshot-to-file", mp.get_opt("shot"), "window") mp.command("quit") end
mp.register_event("playback-restart", function() mp.add_timeout(0.1, shoot) end)
"""
Shoot = Callable[..., Any]


@pytest.fixture
def display(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment with a display."""
    if any(shutil.which(program) is None for program in ("mpv", "Xvfb")):
        pytest.skip("no mpv or no Xvfb (apt-get install mpv xvfb mesa-vulkan-drivers)")
    mine, its = os.pipe()
    command = ["Xvfb", "-displayfd", str(its), "-screen", "0", "320x240x24"]
    with subprocess.Popen(command, pass_fds=[its], stderr=subprocess.DEVNULL) as server:
        os.close(its)
        try:
            with os.fdopen(mine) as said:
                number = said.readline().strip()
            if not number:
                pytest.skip("Xvfb does not start")
            yield {**os.environ, "DISPLAY": f":{number}", "XDG_RUNTIME_DIR": str(tmp_path)}
        finally:
            server.terminate()


@pytest.fixture
def shoot(display: dict[str, str], tmp_path: Path) -> Shoot:
    """What mpv shows of the first frame of a file, (height, width, 3)."""
    device = ("--gpu-context=x11vk", "--gpu-sw=yes")
    listed = subprocess.run(
        ["mpv", *_PLAIN, *device, "--vulkan-device=help"], env=display, capture_output=True, text=True, timeout=60
    )
    names = re.findall(r"^ *'(.+)' \(GPU", listed.stdout, re.MULTILINE)
    if not names:
        pytest.skip("mpv finds no Vulkan device (apt-get install mesa-vulkan-drivers)")
    script = tmp_path / "shoot.lua"
    script.write_text(_SCRIPT)

    def shot(path: Path, *options: str) -> Any:
        picture = tmp_path / f"{path.stem}-{len(options)}.png"
        extra = (f"--vulkan-device={names[-1]}", f"--script={script}", f"--script-opts=shot={picture}", *options)
        command = ["mpv", *_PLAIN, *_EXACT, *device, *extra, str(path)]
        done = subprocess.run(command, env=display, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        shown = cv2().imread(str(picture))
        assert shown.shape == (HEIGHT, WIDTH, 3)
        return shown

    return shot


def psnr(one: Any, other: Any) -> float:
    error = np.square(one.astype(float) - other).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


@pytest.mark.slow
def test_mpv_shows_what_the_receiver_restores(clips: Any, run: Any, shoot: Shoot, tmp_path: Path) -> None:
    coded = ("-c:v", "ffv1", "-pix_fmt", "yuv420p")
    source = clips.make(tmp_path / "in.mkv", *coded, size=f"{WIDTH}x{HEIGHT}", frames=1)
    sent, restored, shader = (tmp_path / name for name in ("lr.mp4", "restored.mkv", "lr.glsl"))
    send(source, sent, SendOptions(model=NAME, crf=20))
    receive(sent, restored, ReceiveOptions(temperature=0, precision="fp32", codec="ffv1"))
    assert run("models", "export", NAME, shader, "--for", sent).code == 0
    expected = shoot(restored)
    assert psnr(shoot(sent, f"--glsl-shaders={shader}"), expected) > 40
    assert psnr(shoot(sent), expected) < 30
