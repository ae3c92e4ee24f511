"""A page in headless Chromium, where there is one."""

import fcntl
import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def program():
    """The browser's file; skips the test where there is none."""
    found = next((found for name in NAMES if (found := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium")
    return found


def dump(path, tmp_path, fragment=""):
    """Open a file as a browser does, let its script run, and return the page as it then is."""
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000", "--virtual-time-budget=20000"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    address = f"{path.as_uri()}{fragment}"
    done = subprocess.run(
        [program(), *words, profile, "--dump-dom", address], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


class Page:
    """A page that stays open, driven through Chromium's debugging pipe: JSON messages that end with a zero byte."""

    def __init__(self, reader, writer):
        self._reader, self._writer, self._count, self._session = reader, writer, 0, None
        self.messages = []  # of the console and of refused requests

    def send(self, method, **parameters):
        """Call a method of the DevTools protocol and return its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while True:
            found = self._receive()
            if found.get("id") == self._count:
                assert "error" not in found, (method, found["error"])
                return found["result"]
            if found.get("method") in {"Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"}:
                self.messages.append(found["params"])

    def _receive(self):
        text = bytearray()
        while (byte := self._reader.read(1)) != b"\0":
            assert byte, "Chromium ended"
            text += byte
        return json.loads(text)

    def open(self, address):
        """Open a page in a new tab."""
        self._session = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send("Page.navigate", url=address)

    def ask(self, expression):
        """Return the value of a JavaScript expression, awaited if it is a promise."""
        found = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression, seconds=50):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < end, (expression, self.messages)
            time.sleep(0.02)

    def close(self):
        """End the browser, so that nothing writes to its folder any more."""
        self._session = None
        self.send("Browser.close")

    def choose(self, selector, path):
        """Choose a file in a file input."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])


@contextmanager
def opened(path, tmp_path):
    """Open a file in a browser that stays open inside the block; yield a `Page`."""
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,1000", "--remote-debugging-pipe"]
    (to_read, to_write), (from_read, from_write) = (os.pipe() for _ in range(2))
    # Chromium reads from 3 and writes to 4, so the ends of the pipes must not have these numbers.
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_read, from_write)]
    process = subprocess.Popen(
        [program(), *words, f"--user-data-dir={tmp_path / 'profile'}"],
        close_fds=False,
        preexec_fn=lambda: [os.dup2(end, number) for number, end in enumerate(ends, 3)],  # noqa: PLW1509
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (to_read, from_write, *ends):
        os.close(end)
    with os.fdopen(from_read, "rb") as reader, os.fdopen(to_write, "wb") as writer:
        try:
            page = Page(reader, writer)
            page.open(path.as_uri())
            yield page
            page.close()
            process.wait(10)
        finally:
            process.kill()
            process.wait()
