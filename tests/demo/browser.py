"""A headless Chromium, driven over its DevTools pipe: real typing, real streams, and no time spent polling."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # its sandbox refuses to run as root; it visits nothing but this test's own server
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
)

_UNTIL = """new Promise(resolve => {
    const check = () => { if (%s) { observer.disconnect(); resolve(); } };
    const observer = new MutationObserver(check);
    observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    check();
})"""

# The colours that a reader sees: the ratio of each text to what lies behind it (WCAG 2.2, 1.4.3).
_CONTRASTS = """
Array.from(document.querySelectorAll(%s))
    .filter(element => element.innerText && element.offsetParent)
    .map(element => {
        const numbers = color => color.match(/[\\d.]+/g).map(Number);
        let behind = element;
        while (behind && numbers(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
        const light = color => {
            const [r, g, b] = numbers(color).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b + .05;
        };
        const pair = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(light);
        return [Math.max(...pair) / Math.min(...pair), element.outerHTML];
    })
"""


class Browser:
    """One Chromium process. Messages are JSON, each ended by a zero byte."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        commands, self._commands = _pipe()
        self._answers, answers = _pipe()
        self._pid = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, commands, 3),
                (os.POSIX_SPAWN_DUP2, answers, 4),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setpgroup=0,
        )
        os.close(commands)
        os.close(answers)
        self._ids = itertools.count(1)
        self._buffer = b""
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End the process and all of its helpers."""
        os.close(self._commands)
        os.close(self._answers)
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Run one command and return its result; events that arrive meanwhile are kept."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def wait_for(self, method: str) -> None:
        """Come back when the next event of this kind has arrived."""
        while (event := self._read()).get("method") != method:
            self.events.append(event)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._answers, 65_536)
            assert chunk, "the browser has ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        read: dict[str, Any] = json.loads(message)
        return read


class Page:
    """One tab."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._target: str = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session: str = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Load a page, its style sheets and scripts."""
        self._call("Page.navigate", url=url)
        self._browser.wait_for("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, of a promise when it has one."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition: str) -> None:
        """Come back when a JavaScript condition holds; it is looked at after each change of the document."""
        self.evaluate(_UNTIL % condition)

    def text(self, selector: str) -> str:
        """Return the text that a reader sees of an element."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def type(self, text: str) -> None:
        """Type into the focused field."""
        self._call("Input.insertText", text=text)

    def press(self, key: str, code: int, modifiers: int = 0) -> None:
        """Press a key; 2 is the modifier Ctrl."""
        for kind in ("rawKeyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, modifiers=modifiers)

    def resize(self, width: int, height: int = 800) -> None:
        """Give the page the size of a device, in CSS pixels."""
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def prefer(self, scheme: str) -> None:
        """Prefer the light or the dark colour scheme."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def contrasts(self, selector: str) -> list[tuple[float, str]]:
        """Return the contrast of the text of each visible element that a CSS selector matches, and the element."""
        found: list[tuple[float, str]] = self.evaluate(_CONTRASTS % json.dumps(selector))
        return found

    def screenshot(self, path: Path) -> None:
        """Write the whole page as PNG."""
        data = self._call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def problems(self) -> list[str]:
        """Return what the browser has complained about: policy violations, script errors, failed loads."""
        self.evaluate("1")  # whatever was reported before this answer has been read with it
        return [
            str(event["params"])
            for event in self._browser.events
            if event.get("sessionId") == self._session
            and event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]

    def close(self) -> None:
        """Close the tab, and its streams with it."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends stand above 3 and 4, which the browser gets."""
    read, write = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (read, write))
    os.close(read)
    os.close(write)
    return moved[0], moved[1]
