"""What the console costs a browser: requests, bytes, first paint, shifts of layout; on a bad line too.

`python -m benchmarks.console http://127.0.0.1:8000 admin password` against a running stack. Needs what the browser
tests need (`make test-browser` installs it).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

#: Lighthouse's slow 4G: bytes a second, and milliseconds of latency.
SLOW_BYTES_PER_SECOND = 1_638_400 // 8
SLOW_LATENCY_MILLISECONDS = 150
PHONE: Any = {"width": 360, "height": 740}
SMALL: Any = [{"name": "bench.txt", "mimeType": "text/plain", "buffer": b"hello"}]
#: Collected by the page itself, from its start.
_OBSERVE = """
window.shift = 0;
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
_FIGURES = """() => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return { paint: Math.round(paint?.startTime ?? 0), shift: Math.round(window.shift * 1000) / 1000 };
}"""


@dataclass
class Traffic:
    """What went over the line since the last :meth:`take`."""

    requests: int = 0
    bytes: int = 0

    def take(self) -> tuple[int, int]:
        taken = (self.requests, self.bytes)
        self.requests = self.bytes = 0
        return taken


def main(address: str, username: str, password: str) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browser import environment

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=environment.find_chromium(),
            env={**environment.chromium_environment()},
            args=["--no-sandbox", "--disable-gpu"],
        )
        print(f"{'':34} {'requests':>8} {'KB':>8} {'paint ms':>9} {'shift':>7}")
        for line in ("fast", "slow 4G"):
            page = browser.new_context(viewport=PHONE).new_page()
            page.add_init_script(_OBSERVE)
            traffic = _watch(page, slow=line != "fast")
            page.goto(address)
            page.get_by_label("Username").wait_for()
            _report(f"first visit, sign-in ({line})", traffic, page)
            page.get_by_label("Username").fill(username)
            page.get_by_label("Password").fill(password)
            page.get_by_role("button", name="Sign in").click()
            page.get_by_role("heading", name="Files", level=1).wait_for()
            page.wait_for_timeout(1500)
            _report("  sign in, list of files", traffic, page)
            page.reload()
            page.get_by_role("heading", name="Files", level=1).wait_for()
            page.wait_for_timeout(1500)
            _report("  known visit", traffic, page)
            page.set_input_files("[data-chooser=files]", SMALL)
            page.get_by_role("heading", name="1 file sent").wait_for()
            page.wait_for_timeout(1500)
            _report("  first upload, with Uppy", traffic, page)
        browser.close()


def _watch(page: Any, slow: bool) -> Traffic:
    traffic = Traffic()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    if slow:
        conditions = {
            "offline": False,
            "latency": SLOW_LATENCY_MILLISECONDS,
            "downloadThroughput": SLOW_BYTES_PER_SECOND,
            "uploadThroughput": SLOW_BYTES_PER_SECOND,
        }
        session.send("Network.emulateNetworkConditions", conditions)

    def count(event: dict[str, Any]) -> None:
        # What comes from the browser's own cache is no traffic.
        if event["encodedDataLength"]:
            traffic.requests += 1
            traffic.bytes += event["encodedDataLength"]

    session.on("Network.loadingFinished", count)
    return traffic


def _report(what: str, traffic: Traffic, page: Any) -> None:
    requests, received = traffic.take()
    figures = page.evaluate(_FIGURES)
    print(f"{what:34} {requests:>8} {received / 1024:>8.1f} {figures['paint']:>9} {figures['shift']:>7}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: python -m benchmarks.console ADDRESS USERNAME PASSWORD")
    main(*sys.argv[1:])
