"""A real Chromium, driven by selenium, and a server for it to look at."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test import override_settings
from django.test.testcases import LiveServerThread

from penstock_testkit.servers import require

__all__ = ["PICTURES", "Chromium", "serving"]

PICTURES = "PENSTOCK_PICTURES"
"""Names the folder that pictures for the documentation are put into: docs/images."""


@contextmanager
def serving():
    """The address of the project on loopback."""
    with override_settings(ALLOWED_HOSTS=["127.0.0.1"]):
        server = LiveServerThread("127.0.0.1", StaticFilesHandler)
        server.daemon = True
        server.start()
        server.is_ready.wait()
        if server.error:
            raise server.error
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.terminate()


class Chromium:
    """A browser with a profile of its own. A script of a record that runs opens a dialogue, and the
    next thing that is asked of the browser raises for it."""

    def __init__(self) -> None:
        program, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if program is None or driver is None:
            require("Chromium", "is not installed; .ci/services installs it on Debian and Ubuntu")
        from selenium.webdriver import Chrome, ChromeOptions
        from selenium.webdriver.chrome.service import Service

        self.profile = tempfile.mkdtemp(prefix="penstock-chromium-")
        options = ChromeOptions()
        options.binary_location = program
        for word in (
            "headless=new",
            "no-sandbox",  # it refuses to be root in one; what it looks at is ours
            "disable-gpu",
            "disable-dev-shm-usage",
            "window-size=1360,640",
            f"user-data-dir={self.profile}",
        ):
            options.add_argument(f"--{word}")
        self.chrome: Any = Chrome(options=options, service=Service(driver))
        self.chrome.implicitly_wait(10)

    def close(self) -> None:
        self.chrome.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def log_in(self, url: str, name: str, password: str) -> None:
        self.chrome.delete_all_cookies()
        self.chrome.get(f"{url}/admin/login/")
        self.fill("username", name)
        self.fill("password", password)
        self.go("input[type=submit]")

    def find(self, css: str) -> Any:
        return self.chrome.find_element("css selector", css)

    def go(self, css: str) -> None:
        """Click on what leads to another page, and wait for that. In one step: what changes by itself
        may have been replaced since it was found."""
        from selenium.webdriver.support.expected_conditions import staleness_of
        from selenium.webdriver.support.wait import WebDriverWait

        before = self.find("html")
        self.find(css)
        self.chrome.execute_script("document.querySelector(arguments[0]).click()", css)
        WebDriverWait(self.chrome, 20).until(staleness_of(before))

    def fill(self, name: str, text: str) -> None:
        field = self.chrome.find_element("name", name)
        field.clear()
        field.send_keys(text)

    @property
    def text(self) -> str:
        """What a person reads on the page."""
        return str(self.chrome.execute_script("return document.body.innerText"))

    def picture(self, name: str) -> None:
        """Put a picture into the folder that is asked for; nothing without one."""
        folder = os.environ.get(PICTURES)
        if folder:
            self.chrome.save_screenshot(str(Path(folder) / name))
