"""Drive headless Chromium by its debugging protocol over a pipe: windows, keys, mouse, and what the console says."""

import base64
import contextlib
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time

PROGRAM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)

_WITH_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_TIMEOUT = 60
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Backspace": 8, " ": 32}


class Chromium:
    """A browser with its own profile."""

    def __init__(self, profile):
        self._ids, self._buffer, self.events = itertools.count(1), b"", []
        pipes = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for pair in (os.pipe(), os.pipe()) for end in pair]
        theirs, self._write, self._read, answers = pipes
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        command = [sys.executable, "-c", _WITH_PIPES, str(theirs), str(answers), PROGRAM, *options, "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=(theirs, answers), stderr=subprocess.DEVNULL)
        os.close(theirs)
        os.close(answers)

    def send(self, method, session=None, **parameters):
        """Call a method of the protocol and return its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            received = self._receive()
            if received.get("id") == number:
                assert "error" not in received, (method, received)
                return received["result"]
            self.events.append(received)

    def _receive(self):
        deadline = time.monotonic() + _TIMEOUT
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], max(0, deadline - time.monotonic()))[0], "Chromium does not answer"
            chunk = os.read(self._read, 1 << 20)
            assert chunk, "Chromium ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, address, width=900, height=900):
        """Open a window."""
        target = self.send("Target.createTarget", url="about:blank", width=width, height=height, newWindow=True)["targetId"]
        window = Window(self, self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Runtime", "Log", "Page"):
            window.send(f"{domain}.enable")
        window.go(address)
        return window

    def errors(self):
        """Return what went wrong on the pages since the last call."""
        seen, self.events = self.events, []
        return [event["params"] for event in seen if _is_error(event)]

    def close(self):
        """End the browser."""
        with contextlib.suppress(AssertionError, OSError):
            self.send("Browser.close")
        self._process.wait(_TIMEOUT)
        os.close(self._write)
        os.close(self._read)


def _is_error(event):
    method, parameters = event.get("method"), event.get("params", {})
    return (
        method == "Runtime.exceptionThrown"
        or (method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"))
        or (method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"))
    )


class Window:
    """A window of a browser."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def send(self, method, **parameters):
        """Call a method of the protocol for this window."""
        return self.browser.send(method, self.session, **parameters)

    def go(self, address):
        """Load a page."""
        self.send("Page.navigate", url=address)
        self.until("document.readyState == 'complete' && location.href != 'about:blank'")

    def ask(self, expression):
        """Return the value of a JavaScript expression, or None while the page is being replaced."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return None if "exceptionDetails" in result else result["result"].get("value")

    def until(self, expression):
        """Wait until a JavaScript expression is true, and return its value."""
        deadline = time.monotonic() + _TIMEOUT
        while not (value := self.ask(expression)):
            assert time.monotonic() < deadline, (expression, self.ask("document.body.innerText"))
            time.sleep(0.02)
        return value

    def press(self, key):
        """Press and release a key."""
        code = KEYS.get(key, ord(key.upper()[0]))
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def click(self, selector):
        """Click in the middle of an element."""
        place = f"document.querySelector({json.dumps(selector)})"
        self.ask(f"{place}.scrollIntoView()")
        x, y = self.ask(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({place}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self):
        """Return the page as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"])
