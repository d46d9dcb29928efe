"""The console, as a person uses it: what the tests of its journeys share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Visit
from tests.browser.environment import HERE
from tests.integration.conftest import PASSWORD

expect.set_options(timeout=60_000)
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
#: WCAG 2.2 at AA, with all before it, and what axe calls best practice.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@dataclass
class Console:
    """A browser at the console."""

    visit: Visit
    base_url: str

    @property
    def page(self) -> Page:
        return self.visit.page

    def open(self, place: str = "") -> None:
        self.page.goto(f"{self.base_url}/{place}")

    def fill_in_login(self, username: str | None = None, password: str = PASSWORD) -> None:
        self.page.get_by_label("Username").fill(username or self.visit.tenant.username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def sign_in(self) -> None:
        self.open()
        self.fill_in_login()
        self.await_heading("Files")

    def await_heading(self, name: str) -> None:
        expect(self.page.get_by_role("heading", name=name, level=1)).to_be_visible()

    def go(self, name: str) -> None:
        """To a page, by the navigation, which is behind a button on a narrow screen."""
        link = self.page.get_by_role("link", name=name, exact=True)
        if not link.is_visible():
            self.page.get_by_role("button", name="Menu").click()
        link.click()
        self.await_heading(name)

    def choose(self, *files: Any) -> None:
        self.page.set_input_files("[data-chooser=files]", files)

    def row(self, name: str) -> Locator:
        return self.page.get_by_role("list", name="Files").get_by_role("listitem").filter(has_text=name)

    def await_ready(self, name: str) -> None:
        expect(self.row(name)).to_contain_text("Ready")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog").last

    @property
    def tray(self) -> Locator:
        return self.page.get_by_role("region", name="Uploads").first

    @contextmanager
    def offline(self) -> Iterator[None]:
        self.page.context.set_offline(True)
        yield
        self.page.context.set_offline(False)

    def findings(self) -> list[str]:
        """What axe has to say against the page as it is."""
        # Evaluated by the debugger, which the page's policy does not bind.
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[str] = self.page.evaluate(
            """async (tags) => {
                const { violations } = await axe.run(document, { runOnly: tags });
                return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
            }""",
            RULES,
        )
        return found


def file(name: str, content: bytes = b"hello, world\n", mime_type: str = "text/plain") -> dict[str, Any]:
    return {"name": name, "mimeType": mime_type, "buffer": content}


def link_in(text: str) -> str:
    found = re.search(r"https?://\S+", text)
    assert found is not None, text
    return found[0]
