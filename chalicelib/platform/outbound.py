"""Posts to servers of somebody else's choice, and to nothing of our own.

Whoever may name a URL could name one of our network, of the cloud's metadata service or of this machine (OWASP,
"Server-Side Request Forgery Prevention"). So the name is resolved once, every address of it is checked, and the
connection goes to an address that was checked: a DNS answer that changes in between changes nothing. No redirect
is followed, no proxy of the environment is used, and one attempt ends after 15 s, whatever the other side does.
Decision 0037 says why these are lines of our own.
"""

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from chalicelib.kernel.errors import BadInput
from chalicelib.platform.addresses import is_public
from chalicelib.webhooks.ports import Answer

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

ATTEMPT_SECONDS = 15.0
RESOLVE_SECONDS = 5.0
#: Where a name has several addresses, each of them has at least this time to take the connection.
LEAST_CONNECT_SECONDS = 1.0
#: What is kept of an answer; the rest is not read.
BODY_START_BYTES = 1024
MAX_URL_CHARACTERS = 2000
HTTPS_PORT, HTTP_PORT = 443, 80
FIRST_UNPRIVILEGED_PORT = 1024
#: With these a server can say when to come again (RFC 9110, 10.2.3; RFC 6585, 4).
TOO_MANY_REQUESTS, UNAVAILABLE = 429, 503

NO_SUCH_HOST = "The host name of the URL is not known to the DNS."
NOT_PUBLIC = "The URL leads to an address that is not on the public internet."
REFUSED = "The server refuses connections."
TIMED_OUT = f"There was no answer within {ATTEMPT_SECONDS:.0f} seconds."
BAD_CERTIFICATE = "The server's certificate is not valid for this host, or not trusted."
BROKEN_OFF = "The connection broke off."
NOT_HTTP = "The server did not answer in HTTP."


class _Refusal(Exception):
    """The text is for the customer."""


@dataclass(frozen=True)
class _Target:
    is_https: bool
    host: str
    port: int
    path: str
    #: The operator lets webhooks go there: also without TLS, and into a private network.
    is_allowed: bool

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = HTTPS_PORT if self.is_https else HTTP_PORT
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass
class _Attempt:
    """What is known of an attempt so far, also when it is given up."""

    connection: "HTTPConnection | None" = None
    status: int | None = None
    retry_after_seconds: int | None = None
    body: bytes = b""
    #: Its time is over, and that was told: nothing may be sent any more.
    is_given_up: bool = False
    outcome: "Future[str | None]" = field(default_factory=Future)


class OutboundSender:
    def __init__(self, allowed_hosts: tuple[str, ...] = (), ca_file: str | None = None) -> None:
        """
        :param allowed_hosts: hosts that may be private, and be asked without TLS: for developers.
        :param ca_file: whom to trust, where it is not the public authorities.
        """
        self._allowed_hosts = frozenset(allowed_hosts)
        self._ca_file = ca_file

    def check(self, url: str) -> None:
        try:
            target = self._target(url)
            _within(RESOLVE_SECONDS, lambda: _resolve(target))
        except _Refusal as refusal:
            raise BadInput(str(refusal)) from None
        except TimeoutError:
            raise BadInput("The host name of the URL could not be resolved; try again.") from None

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        started, attempt = time.monotonic(), _Attempt()
        # A thread, because not every step can be given a time limit: the DNS can't, nor a peer that drips.
        threading.Thread(target=self._run, args=(attempt, url, headers, body), daemon=True).start()
        try:
            error = attempt.outcome.result(timeout=ATTEMPT_SECONDS)
        except TimeoutError:
            error = TIMED_OUT
            attempt.is_given_up = True
            _cut(attempt.connection)
        milliseconds = round((time.monotonic() - started) * 1000)
        body_start = attempt.body.decode(errors="replace")
        return Answer(attempt.status, milliseconds, body_start, error, attempt.retry_after_seconds)

    def _run(self, attempt: _Attempt, url: str, headers: Mapping[str, str], body: bytes) -> None:
        try:
            self._post(attempt, url, headers, body)
            attempt.outcome.set_result(None)
        except Exception as error:
            attempt.outcome.set_result(_told(error))

    def _post(self, attempt: _Attempt, url: str, headers: Mapping[str, str], body: bytes) -> None:
        from chalicelib.platform.whole_head import WholeHeadResponse

        end = time.monotonic() + ATTEMPT_SECONDS
        target = self._target(url)
        connection = self._connect(attempt, target, _resolve(target), end)
        connection.response_class = WholeHeadResponse
        try:
            if attempt.is_given_up:
                raise _Refusal(TIMED_OUT)
            sent = {"Host": target.host_header, "User-Agent": "Strongroom-Webhooks/1", "Connection": "close", **headers}
            connection.request("POST", target.path, body, sent, preload_content=False, decode_content=False)
            response: Any = connection.getresponse()
            attempt.status = response.status
            if response.status in (TOO_MANY_REQUESTS, UNAVAILABLE):
                attempt.retry_after_seconds = _seconds_of(response.headers.get("Retry-After", ""))
            while len(attempt.body) < BODY_START_BYTES:
                piece = response.read1(BODY_START_BYTES - len(attempt.body))
                if not piece:
                    break
                attempt.body += piece
        finally:
            connection.close()

    def _connect(self, attempt: _Attempt, target: _Target, addresses: Sequence[str], end: float) -> "HTTPConnection":
        """To the first of the addresses that takes it; they share the time. The others are sent nothing."""
        from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

        failed: Exception = _Refusal(TIMED_OUT)
        for place, address in enumerate(addresses):
            if attempt.is_given_up:
                break
            connection = attempt.connection = self._connection(target, address)
            connection.timeout = max(LEAST_CONNECT_SECONDS, (end - time.monotonic()) / (len(addresses) - place))
            try:
                connection.connect()
            except (NewConnectionError, ConnectTimeoutError, TimeoutError) as error:
                connection.close()
                failed = error
                continue
            connection.timeout = ATTEMPT_SECONDS
            return connection
        raise failed

    def _target(self, url: str) -> _Target:
        parts = _split(url)
        host = _host(parts)
        is_allowed, is_https = host in self._allowed_hosts, parts.scheme == "https"
        if not is_https and not (parts.scheme == "http" and is_allowed):
            raise _Refusal("The URL must begin with https://.")
        if not is_allowed and port_of(parts) != HTTPS_PORT and port_of(parts) < FIRST_UNPRIVILEGED_PORT:
            raise _Refusal(f"The URL names port {port_of(parts)}; use 443, or one from 1024 up.")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return _Target(is_https, host, port_of(parts), path, is_allowed)

    def _connection(self, target: _Target, address: str) -> "HTTPConnection":
        # Here and not above: only the function that delivers needs them.
        from botocore.httpsession import get_cert_path
        from urllib3.connection import HTTPConnection, HTTPSConnection

        if not target.is_https:
            return HTTPConnection(address, target.port, timeout=ATTEMPT_SECONDS)
        return HTTPSConnection(
            address,
            target.port,
            timeout=ATTEMPT_SECONDS,
            server_hostname=target.host,
            assert_hostname=target.host,
            cert_reqs="CERT_REQUIRED",
            ca_certs=self._ca_file or get_cert_path(True),
        )


def _split(url: str) -> SplitResult:
    """:raises _Refusal: no URL that anything can be sent to."""
    if len(url) > MAX_URL_CHARACTERS or not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url:
        raise _Refusal(f"The URL has up to {MAX_URL_CHARACTERS} characters of ASCII, and no spaces or backslashes.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _Refusal("That is not a URL such as https://example.com/hook.") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise _Refusal("The URL must begin with https:// and name a host.")
    if parts.username is not None or parts.password is not None:
        raise _Refusal("The URL must not carry a user name or password; verify the signature instead.")
    if parts.fragment:
        raise _Refusal("The URL must not have a fragment (#...): it is never sent.")
    return parts


def port_of(parts: SplitResult) -> int:
    return parts.port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)


def _host(parts: SplitResult) -> str:
    """In small letters, without a dot at its end.

    :raises _Refusal: a number in a form that not everybody reads as the same address, or no name of the DNS.
    """
    host = (parts.hostname or "").rstrip(".")
    if ":" in host:
        if "%" in host:
            raise _Refusal(NOT_PUBLIC)
        return host
    if re.fullmatch(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)", host):
        # What ends in a number is an address (WHATWG URL, 4.1); inet_aton reads octal and hexadecimal ones as well.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise _Refusal("Write the address as four decimal numbers, or name a host.") from None
    if not re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", host) or len(host) > 253:
        raise _Refusal("The URL does not name a host of the DNS.")
    return host


def _resolve(target: _Target) -> list[str]:
    """The addresses of the target in the order of preference, after all of them were checked.

    :raises _Refusal: there is none, or one of them is none of the public internet.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _Refusal(NO_SUCH_HOST) from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise _Refusal(NO_SUCH_HOST)
    if not target.is_allowed and not all(_is_public_text(address) for address in addresses):
        raise _Refusal(NOT_PUBLIC)
    return addresses


def _is_public_text(address: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(address))
    except ValueError:
        # One with a zone: of this link only.
        return False


def _seconds_of(retry_after: str) -> int | None:
    """Of the header: a number of seconds, or a date (RFC 9110, 10.2.3). None when it says nothing that can be read."""
    try:
        if re.fullmatch(r"\s*[0-9]{1,15}\s*", retry_after):
            return int(retry_after)
        return max(0, round(parsedate_to_datetime(retry_after).timestamp() - time.time()))
    except (ValueError, TypeError, OverflowError):
        return None


def _within(seconds: float, work: Any) -> Any:
    """:raises TimeoutError: it took longer."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(timeout=seconds)


def _cut(connection: "HTTPConnection | None") -> None:
    """Let the thread that waits for the other side end."""
    wire = getattr(connection, "sock", None)
    if wire is not None:
        try:
            wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            wire.close()


def _told(error: Exception) -> str:
    """A sentence for the customer. It says nothing of where we are or what we have tried to reach."""
    from urllib3 import exceptions
    from urllib3.util.ssl_match_hostname import CertificateError

    if isinstance(error, _Refusal):
        return str(error)
    causes = (error, error.__cause__, error.__context__, *(error.args if error.args else ()))
    if any(isinstance(cause, ssl.SSLCertVerificationError | CertificateError) for cause in causes):
        return BAD_CERTIFICATE
    # Of urllib3's, which counts it among the time-outs.
    if isinstance(error, exceptions.NewConnectionError | ConnectionRefusedError):
        return REFUSED
    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return TIMED_OUT
    if isinstance(error, exceptions.SSLError | ssl.SSLError):
        return "TLS could not be agreed on."
    if isinstance(error, OSError | exceptions.ProtocolError | exceptions.IncompleteRead):
        return BROKEN_OFF
    return NOT_HTTP
