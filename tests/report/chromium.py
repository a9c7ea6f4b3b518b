"""A real browser for tests: headless Chromium, driven over the pipe of its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = "no Chromium here: apt-get install chromium, or name one in FINETRACE_TEST_CHROMIUM"


def find_chromium() -> str | None:
    """The browser of this machine, if it has one."""
    named = os.environ.get("FINETRACE_TEST_CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser with one page; notes every request, every message of the console and every uncaught error."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options += ["--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={profile}"]

        def as_three_and_four() -> None:
            # The protocol wants these two numbers; through high ones, lest one be overwritten before it is moved.
            high = os.dup(to_read), os.dup(to_write)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [program, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),
            preexec_fn=as_three_and_four,
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        """Addresses of everything that was asked for."""
        self.complaints: list[str] = []
        """What the console said, and errors nobody caught."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self._call(f"{domain}.enable")
        self._call("Performance.enable", timeDomain="threadTicks")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def open(self, file: Path, fragment: str = "") -> float:
        """Load a file from disk; gives back the seconds until it has loaded and painted."""
        self._call("Page.navigate", url="about:blank")
        self.requests.clear()
        self.complaints.clear()
        begin = time.monotonic()
        self._call("Page.navigate", url=file.as_uri() + fragment)
        ready = "document.readyState === 'complete' && location.protocol === 'file:'"
        while not self.evaluate(ready):
            time.sleep(0.02)
        self.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true))))")
        return time.monotonic() - begin

    def worked(self) -> float:
        """Seconds of computing by the page's main thread so far: what a page takes where nothing else runs."""
        metrics = self._call("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    def evaluate(self, script: str) -> Any:
        """The value of an expression in the page, promises awaited."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(json.dumps(answer["exceptionDetails"])[:2000])
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """One key, down and up."""
        codes = {"Tab": 9, "Enter": 13, "ArrowRight": 39, "ArrowLeft": 37, "Escape": 27}
        text = {"Enter": "\r"}.get(key)
        same: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        self._call("Input.dispatchKeyEvent", type="keyDown", **same, **({"text": text} if text else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **same)

    def hover(self, x: float, y: float) -> None:
        """Move the pointer there."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def emulate(self, *, scheme: str = "light", media: str = "screen", width: int = 1200, height: int = 900) -> None:
        """Colour scheme, medium and size of the window."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def picture(self) -> bytes:
        """What the window shows, PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def printed(self) -> bytes:
        """The page on paper, PDF."""
        return base64.b64decode(self._call("Page.printToPDF", printBackground=False)["data"])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)
        raise AssertionError(f"{method}: the browser ended")

    def _messages(self) -> Iterator[dict[str, Any]]:
        end = time.monotonic() + 60
        while True:
            while b"\0" in self._buffer:
                message, _, self._buffer = self._buffer.partition(b"\0")
                yield json.loads(message)
            if not select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]:
                raise AssertionError("the browser is silent")
            received = os.read(self._read, 1 << 20)
            if not received:
                return
            self._buffer += received

    def _note(self, event: dict[str, Any]) -> None:
        method, told = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(json.dumps(told["args"])[:500])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(told["exceptionDetails"])[:500])
        elif method == "Log.entryAdded":
            self.complaints.append(told["entry"]["text"])
