"""Asks a deployed API whether it is there: what a first client would see. Knows HTTP and the contract, not AWS."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

from chalicelib.health.probes import FRESH_SECONDS

#: A new deployment of API Gateway reaches all its servers within seconds, a new function starts within some.
PATIENCE_SECONDS = 60.0
REQUEST_SECONDS = 15.0
PAUSE_SECONDS = 1.0
#: A process keeps what it knows of its dependencies for some seconds, and new permissions take effect within some.
STEADY_SECONDS = FRESH_SECONDS + 1.5
#: How the sentence begins when the API works and something that it needs does not.
UNHEALTHY = "GET /health is 503"


def check_once(url: str, transport: httpx.BaseTransport | None = None) -> str:
    """Health, and a request that has to be refused in the contract's shape.

    :param transport: what requests go through; the network without it.
    :returns: what is wrong; nothing when all is well.
    """
    with httpx.Client(base_url=url.rstrip("/") + "/", timeout=REQUEST_SECONDS, transport=transport) as client:
        try:
            health = client.get("health")
            if health.status_code != 200:
                return f"GET /health is {health.status_code}, not 200: {health.text[:300]}"
            me = client.get("auth/me")
        except httpx.TransportError as error:
            return f"there is no answer from {url}: {error}"
    try:
        refused = me.status_code == 401 and "error" in me.json()
    except ValueError:
        refused = False
    return "" if refused else f"GET /auth/me without a session is {me.status_code}, not 401: {me.text[:300]}"


@dataclass(frozen=True)
class LiveCheck:
    """How long an API is asked.

    :param patience_seconds: within which good answers have to begin.
    :param steady_seconds: for which they have to stay good.
    :param transport: what requests go through; the network without it.
    """

    patience_seconds: float = PATIENCE_SECONDS
    steady_seconds: float = STEADY_SECONDS
    pause_seconds: float = PAUSE_SECONDS
    transport: httpx.BaseTransport | None = None

    def wait(self, url: str) -> str:
        """Ask until the answers have been good for some seconds, or the time is up. Returns as :func:`check_once`."""
        deadline = time.monotonic() + self.patience_seconds
        good_since: float | None = None
        while True:
            found, now = check_once(url, self.transport), time.monotonic()
            if found:
                good_since = None
                if now > deadline:
                    return found
            elif good_since is None:
                good_since = now
            if good_since is not None and now - good_since >= self.steady_seconds:
                return ""
            time.sleep(self.pause_seconds)


STANDARD = LiveCheck()
