"""Airflow's UI in Chromium, with the Airflow and the emulator of the system tests. `make test-browser` runs these.

`make pictures` runs them too, and takes over the pictures that they take into docs/images.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from standalone import StandaloneAirflow

from ..system.conftest import *  # noqa: F403 - the fixtures of the system tests, whichever they need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SIZE = {"width": 1180, "height": 720}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They want a browser, which `make test` takes for granted no more than root or apt."""
    left_out = pytest.mark.skip(reason="left out: `make test-browser` runs them in Chromium, and says how to have that")
    for item in items:
        if item.path.is_relative_to(HERE) and "BROWSER" not in os.environ:
            item.add_marker(left_out)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium with a profile of its own, which knows no proxy."""
    from playwright.sync_api import sync_playwright

    path = subprocess.run([ROOT / "dev" / "chromium"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, airflow: StandaloneAirflow) -> Iterator[Page]:
    """A page of Airflow's UI; anything that its scripts fail at is an error."""
    page = browser.new_page(base_url=airflow.url, viewport=SIZE, color_scheme="light")
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert errors == []


@pytest.fixture
def picture() -> Callable[[str, Page | Locator], None]:
    """Take a picture, in few colours so that it stays small, into $PICTURES or build/pictures."""
    from PIL import Image

    folder = Path(os.environ.get("PICTURES", ROOT / "build" / "pictures"))
    folder.mkdir(parents=True, exist_ok=True)

    def take(name: str, what: Page | Locator) -> None:
        with Image.open(io.BytesIO(what.screenshot(animations="disabled"))) as full:
            few = full.convert("RGB").quantize(128, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(folder / f"{name}.png", optimize=True)

    return take
