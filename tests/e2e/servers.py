"""The servers that a deployed stack needs on this machine: the emulator with permissions enforced, and a real Valkey.

Each runs on a free loopback port and ends with the block that started it.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.local.cache import start_cache
from infra.local.emulator import endpoint, is_ready, start_emulator
from infra.local.processes import Child, answers, free_port

START_SECONDS = 30.0


@contextmanager
def emulator(cache_port: int, folder: Path) -> Iterator[str]:
    """MiniStack; yields its endpoint. The cache is what ElastiCache's endpoint points to."""
    port = free_port()
    said: list[str] = []
    child = start_emulator(port, folder, lambda _, line: said.append(line), cache_port=cache_port, keep_state=False)
    try:
        _wait_until(lambda: is_ready(port), child, said)
        yield endpoint(port)
    finally:
        child.stop()


@contextmanager
def valkey(folder: Path) -> Iterator[int]:
    """A real Valkey; yields its port."""
    port = free_port()
    said: list[str] = []
    child = start_cache(port, folder, lambda _, line: said.append(line))
    try:
        _wait_until(lambda: answers(port), child, said)
        yield port
    finally:
        child.stop()


def _wait_until(is_up: Callable[[], bool], child: Child, said: list[str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_up():
        if child.exit_code is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{child.name} did not start:\n" + "\n".join(said[-40:]))
        time.sleep(0.05)


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
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(START_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_SECONDS)
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65536):
            target.write(piece)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()
