"""AWS Signature Version 4 of a request's headers (AWS: "Create a signed AWS API request").

Knows no service. The key of a day is derived once, which takes four of the five MACs of a signature.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class Credentials(NamedTuple):
    access_key: str
    secret_key: str
    #: Of temporary credentials.
    token: str | None


class Signer:
    """Signs for one service in one region. Safe to share between threads."""

    def __init__(self, service: str, region: str) -> None:
        self._service = service
        self._region = region
        self._derived: tuple[str, str, bytes] = ("", "", b"")

    def scope(self, timestamp: str) -> str:
        return f"{timestamp[:8]}/{self._region}/{self._service}/aws4_request"

    def authorization(
        self,
        credentials: Credentials,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        payload_sha256: str,
        timestamp: str,
    ) -> str:
        """The value of the header ``Authorization``.

        :param path: as it is sent, which for S3 is the canonical path; other services' here is ``/``.
        :param query: canonical: names and values percent-encoded, sorted by name.
        :param headers: those to be signed, by names in small letters; ``host`` and ``x-amz-date`` among them.
        :param timestamp: UTC, ``20130524T000000Z``; also in ``x-amz-date``.
        """
        names = sorted(headers)
        signed = ";".join(names)
        canonical_headers = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in names)
        canonical = f"{method}\n{path}\n{query}\n{canonical_headers}\n{signed}\n{payload_sha256}"
        signature = self.signature(credentials, canonical, timestamp)
        credential = f"{credentials.access_key}/{self.scope(timestamp)}"
        return f"{ALGORITHM} Credential={credential}, SignedHeaders={signed}, Signature={signature}"

    def signature(self, credentials: Credentials, canonical_request: str, timestamp: str) -> str:
        hashed = hashlib.sha256(canonical_request.encode()).hexdigest()
        to_sign = f"{ALGORITHM}\n{timestamp}\n{self.scope(timestamp)}\n{hashed}"
        key = self._key(credentials.secret_key, timestamp[:8])
        return hmac.digest(key, to_sign.encode(), "sha256").hex()

    def _key(self, secret_key: str, day: str) -> bytes:
        # Read and written in one piece: another thread may have other credentials.
        known_secret, known_day, key = self._derived
        if (known_secret, known_day) != (secret_key, day):
            key = f"AWS4{secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived = (secret_key, day, key)
        return key
