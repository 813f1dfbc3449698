"""The built guide behind a server, and Chromium in front of it."""

import functools
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from places import DOCS
from playwright.sync_api import Browser, Page, sync_playwright


FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site as a host would: what is not there is answered with the 404 page."""

    def send_error(self, code: int, message: Any = None, explain: Any = None) -> None:
        """Answer with the site's own page."""
        page = Path(self.directory, "404.html")
        if code != http.HTTPStatus.NOT_FOUND or not page.exists():
            super().send_error(code, message, explain)
            return
        body = page.read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session", name="site")
def _site() -> Path:
    """Return the built guide: what `nox -s docs` has made, or what VMAPGUIDE_SITE names."""
    site = Path(os.environ.get("VMAPGUIDE_SITE", DOCS / "_build" / "html"))
    assert (site / "index.html").exists(), (
        f"There is no guide in {site}: build it by `nox -s docs`."
    )
    return site


@pytest.fixture(scope="session", name="address")
def _address(site: Path) -> Iterator[str]:
    """Serve the guide, and return its address."""
    handler = functools.partial(Handler, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def answers(port: int) -> bool:
    """Return whether a server listens: some say where they will before they do."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Return a function that starts a server of its own process, and says where it is."""
    started: list[subprocess.Popen[bytes]] = []

    def start_server(command: list[str], *, patience: float = 60, **options: Any) -> str:
        log = tmp_path / f"server-{len(started)}.log"
        with log.open("w") as output:
            server = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **options
            )
        started.append(server)
        end = time.monotonic() + patience
        while server.poll() is None and time.monotonic() < end:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())
            if found and answers(int(found[1])):
                return found[0]
            time.sleep(0.2)
        pytest.fail(f"{command} did not say where it serves:\n{log.read_text()}")

    yield start_server
    for server in started:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)  # With what it has started.
            server.wait()


@pytest.fixture(scope="session", name="chromium")
def _chromium() -> Iterator[Browser]:
    """Start the system's Chromium, or Playwright's own."""
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    path = os.environ.get("CHROMIUM") or next(filter(None, found), None)
    with sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.fail(
                "There is no Chromium. Install the system's (apt-get install chromium), or "
                "Playwright's: `playwright install chromium` in this session's environment; or "
                "name one in the variable CHROMIUM."
            )
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page; the test fails if the page complains about anything."""
    complaints: list[str] = []
    contexts = []

    def open_page(name: str, *, theme: Any = "light", width: int = 1280, **options: Any) -> Page:
        viewport: Any = {"width": width, "height": 900}
        context = chromium.new_context(color_scheme=theme, viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        # Search asks for the pages that it has found, until the page is closed.
        page.on(
            "requestfailed",
            lambda request: (
                complaints.append(f"failed: {request.url} {request.failure}")
                if request.failure != "net::ERR_ABORTED"
                else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                complaints.append(f"external: {request.url}")
                if not request.url.startswith((address, "data:"))
                else None
            ),
        )
        page.goto(f"{address}/{name}", wait_until="load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
