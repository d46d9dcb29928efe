"""The list of what is in the deployment package, as a CycloneDX document (ECMA-424), made beside the package.

A package of Python is listed when at least one of its files is in the zip. The same contents make the same document.
"""

from __future__ import annotations

import csv
import ctypes
import hashlib
import importlib.metadata
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import Parser
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from infra import APPLICATION, VERSION

#: The document has no date of its own, so that the same contents make the same document; the zip has the same date.
_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)
LIBMAGIC = "pylibmagic/libmagic.so.1"
#: SHA-256 over the names and SHA-256 hashes of the component's files in the zip.
FILES_HASH_PROPERTY = "strongroom:files-sha256"


@dataclass(frozen=True)
class Distribution:
    """A package of Python as pip installed it; ``files`` are relative to the root of the zip."""

    name: str
    version: str
    license_name: str | None
    files: tuple[str, ...]


def distributions(contents: Path) -> list[Distribution]:
    """Of each ``*.dist-info``, in the order of their names, and of Chalice, whose runtime is packaged without one."""
    found = [_distribution(folder) for folder in sorted(contents.glob("*.dist-info"))]
    runtime = tuple(
        path.relative_to(contents).as_posix() for path in sorted((contents / "chalice").rglob("*")) if path.is_file()
    )
    chalice = Distribution("chalice", importlib.metadata.version("chalice"), "Apache-2.0", runtime)
    return [*(one for one in found if one.name != "chalice"), chalice]


def document(contents: Path, installed: list[Distribution], digest: str) -> str:
    """The CycloneDX document of the contents of a zip, as JSON.

    :param installed: what was there before unused packages were taken out.
    :param digest: hex SHA-256 that names the package.
    """
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, digest))
    bom.metadata.timestamp = _EPOCH
    bom.metadata.component = Component(
        name=APPLICATION,
        version=VERSION,
        type=ComponentType.APPLICATION,
        bom_ref=APPLICATION,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )
    for distribution in installed:
        files = [name for name in distribution.files if (contents / name).is_file()]
        if files:
            bom.components.add(_component(contents, distribution, files))
    bom.register_dependency(bom.metadata.component, bom.components)
    return str(JsonV1Dot6(bom).output_as_string(indent=2))


def files_hash(contents: Path, files: list[str]) -> str:
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{hashlib.sha256((contents / name).read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _component(contents: Path, distribution: Distribution, files: list[str]) -> Component:
    purl = PackageURL("pypi", name=distribution.name, version=distribution.version)
    licenses = LicenseFactory()
    component = Component(
        name=distribution.name,
        version=distribution.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[licenses.make_from_string(distribution.license_name)] if distribution.license_name else None,
        properties=[Property(name=FILES_HASH_PROPERTY, value=files_hash(contents, files))],
    )
    if LIBMAGIC in files:
        component.components.add(_libmagic(contents / LIBMAGIC))
    return component


def _libmagic(library: Path) -> Component:
    """The C library inside the wheel, which a scanner of Python packages would not see."""
    number = ctypes.CDLL(str(library)).magic_version()
    version = f"{number // 100}.{number % 100:02}"
    return Component(
        name="libmagic",
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"libmagic@{version}",
        cpe=f"cpe:2.3:a:file_project:file:{version}:*:*:*:*:*:*:*",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(library.read_bytes()).hexdigest())],
    )


def _distribution(folder: Path) -> Distribution:
    metadata = Parser().parsestr((folder / "METADATA").read_text(encoding="utf-8"))
    return Distribution(
        name=str(metadata["Name"]).lower().replace("_", "-"),
        version=str(metadata["Version"]),
        license_name=metadata["License-Expression"]
        or _license_of_classifiers(metadata.get_all("Classifier") or [])
        or _one_line(metadata["License"]),
        files=tuple(_recorded(folder / "RECORD")),
    )


def _license_of_classifiers(classifiers: list[str]) -> str | None:
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: OSI Approved :: ")]
    return names[0] if len(names) == 1 else None


def _one_line(text: str | None) -> str | None:
    """Some packages put the whole text of the licence there."""
    return text if text and "\n" not in text.strip() else None


def _recorded(record: Path) -> Iterator[str]:
    with record.open(encoding="utf-8", newline="") as lines:
        yield from (row[0] for row in csv.reader(lines) if row and not row[0].startswith(("/", "..")))
