"""A real browser without a network, which opens pages and tells what happened."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Opened:
    """A page in the browser, with its errors and requests since it was opened."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def count(self, selector: str) -> int:
        """Return how many elements there are."""
        return self.page.locator(selector).count()

    def measure(self, script: str):
        """Return what a script in the page gives."""
        return self.page.evaluate(script)

    def focused(self) -> str:
        """Return the tag and the class or text of what has the focus."""
        return self.measure(
            "`${document.activeElement.tagName} ${document.activeElement.className || "
            "document.activeElement.textContent}`"
        )


def program() -> str:
    """Return the path of a browser. Without one the test is skipped, except in CI."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        reason = f"there is no browser: none of {', '.join(PROGRAMS)}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return found


@contextlib.contextmanager
def started() -> Iterator[Browser]:
    """Start a browser and stop it."""
    with sync_playwright() as playwright:
        # root, as in a container, can have no sandbox
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program(), args=arguments)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser: Browser, path: Path, **options) -> Iterator[Opened]:
    """Open a file as a page whose charts are drawn."""
    context = browser.new_context(offline=True, **options)
    found = Opened(context.new_page())
    found.page.on("console", lambda message: found.complaints.append(message.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(path.as_uri())
    found.page.wait_for_selector("html[data-drawn]")
    yield found
    context.close()
