"""A real headless Chromium, driven over its DevTools pipe: two file descriptors, JSON between zero bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE_SECONDS

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One page; `requests` are the addresses that it asked for, `messages` what it logged."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._write = os.fdopen(to_browser, "wb", buffering=0)
        self._read = os.fdopen(from_browser, "rb")
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        self.messages: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Accessibility"):
            self.call(f"{domain}.enable")
        while self.evaluate("document.readyState") != "complete":
            pass  # else the blank page's load could be taken for that of the file

    def open(self, file: Path) -> None:
        """Load a file and wait until it is there."""
        self.call("Page.navigate", url=file.as_uri())
        while self._receive().get("method") != "Page.loadEventFired":
            pass

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a DevTools method and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def evaluate(self, expression: str) -> Any:
        """Return the value of JavaScript in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def accessible(self) -> list[tuple[str, str]]:
        """Return role and name of all that a screen reader meets."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def _receive(self) -> dict[str, Any]:
        received = bytearray()
        while (byte := self._read.read(1)) != b"\0":
            assert byte, "the browser is gone"
            received += byte
        message: dict[str, Any] = json.loads(received)
        parameters = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        if message.get("method") == "Log.entryAdded":
            self.messages.append(parameters["entry"]["text"])
        return message


@contextmanager
def browser_page() -> Iterator[Page]:
    """Start Chromium with one page, and end it."""
    assert CHROMIUM is not None
    to_browser, from_page = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = f'exec 3<&{to_browser[0]} 4>&{from_page[1]}; exec "$0" "$@"'
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")
        process = subprocess.Popen(
            ["bash", "-c", command, CHROMIUM, *flags, f"--user-data-dir={profile}"],
            pass_fds=(to_browser[0], from_page[1]),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser[0])
        os.close(from_page[1])
        try:
            yield Page(to_browser[1], from_page[0])
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
