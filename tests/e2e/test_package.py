"""The deployment package by itself: complete, small, the same each time, and clean for cfn-lint."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra import packaging, sbom
from infra.packaging import Package, PackagingError

# What the API's answer to a cold start has to load comes out of this; 7 MB when it was written.
ZIP_LIMIT_BYTES = 12_000_000


@pytest.fixture(scope="module")
def contents(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contents")
    with zipfile.ZipFile(package.zip_path) as archive:
        archive.extractall(folder)
    return folder


def run_alone(contents: Path, code: str) -> str:
    """Run code with the standard library and the package on the path, and nothing else: no site-packages, no tools.

    Lambda has no compiler and no linker, which libmagic's usual finder calls; an empty PATH hides ours.
    """
    paths = [sysconfig.get_path("stdlib"), str(Path(sysconfig.get_path("stdlib")) / "lib-dynload"), str(contents)]
    program = f"import sys\nsys.path[:] = {paths!r}\n{code}"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        cwd="/",
        env={"PATH": "/nonexistent", "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_application_imports_with_nothing_but_the_package(contents: Path) -> None:
    loaded = run_alone(
        contents,
        "import app\n"
        "import chalicelib.platform.objects, chalicelib.files.store, chalicelib.platform.rate_counters\n"
        "import chalicelib.platform.queue, chalicelib.accounts.store, chalicelib.platform.large_copy\n"
        "import chalicelib.processing.announcements, chalicelib.sweep.sweeping, chalicelib.accounts.passwords\n"
        "print(sorted({getattr(m, '__file__', None) or '' for m in sys.modules.values()}))\n"
        "assert app.app.routes and app.process_uploads and app.sweep",
    )
    assert "site-packages" not in loaded


def test_types_are_recognised_by_the_packaged_libmagic(contents: Path) -> None:
    said = run_alone(
        contents,
        "from chalicelib.processing.mime import detect_type\n"
        "print(detect_type(b'%PDF-1.7 a document'), detect_type(b'GIF89a' + bytes(64)))\n"
        "print({line.split()[-1] for line in open('/proc/self/maps') if 'magic' in line})",
    )
    types, libraries = said.strip().split("\n")
    assert types == "application/pdf image/gif"
    assert libraries.count("libmagic.so") == 1
    assert str(contents) in libraries


def test_every_module_has_bytecode_that_is_used(contents: Path) -> None:
    """Lambda's folder is read-only: without bytecode every cold start compiles all of it anew."""
    sources = [path for path in contents.rglob("*.py") if "chalicelib" in path.parts or "botocore" in path.parts]
    tag = sys.implementation.cache_tag
    missing = [path for path in sources if not (path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc").exists()]
    assert missing == []
    # Compiled without dates (PEP 552), as the zip keeps none: bit 0 says hash-based, bit 1 that nobody checks it.
    compiled = contents / "chalicelib" / "kernel" / "__pycache__" / f"config.{tag}.pyc"
    assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00"


def test_package_is_small_and_holds_nothing_of_development(package: Package) -> None:
    assert package.zip_path.stat().st_size < ZIP_LIMIT_BYTES
    with zipfile.ZipFile(package.zip_path) as archive:
        names = archive.namelist()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    tops = {name.split("/")[0] for name in names}
    assert not tops & {"infra", "tests", "pip", "setuptools", "pytest", "moto", "click", ".chalice", "benchmarks"}
    services = {name.split("/")[2] for name in names if name.startswith("botocore/data/") and name.count("/") > 2}
    assert services == packaging.AWS_SERVICES


def test_package_that_lacks_something_is_refused(package: Package, tmp_path: Path) -> None:
    import dataclasses

    broken = tmp_path / "deployment.zip"
    with zipfile.ZipFile(package.zip_path) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            if not name.startswith("pylibmagic/"):
                target.writestr(name, b"")
    with pytest.raises(PackagingError, match="pylibmagic/magic"):
        packaging.check(dataclasses.replace(package, zip_path=broken))


def test_template_is_clean_for_cfn_lint(package: Package, tmp_path: Path) -> None:
    path = tmp_path / "template.json"
    path.write_text(json.dumps(packaging.with_code_at(package.template, "bucket", "key")))
    result = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--regions", "us-east-1", "eu-central-1", "--", path],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr


# ---- The list of contents --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def listed(package: packaging.Package) -> dict[str, Any]:
    text = package.zip_path.with_name(packaging.SBOM_NAME).read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def test_list_of_contents_names_every_package_of_the_zip(listed: dict[str, Any], contents: Path) -> None:
    lines = (packaging.ROOT / "requirements.txt").read_text(encoding="utf-8")
    # Several versions of one package, where that depends on the version of Python.
    locked = set(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", lines, re.MULTILINE))
    named = {component["name"]: component["version"] for component in listed["components"]}
    assert named.pop("chalice") == importlib.metadata.version("chalice")
    assert set(named.items()) <= locked
    installed = {folder.name.split("-")[0].lower().replace("_", "-") for folder in contents.glob("*.dist-info")}
    assert installed <= set(named)
    # What is in no component is ours.
    modules = {path.name for path in contents.iterdir() if not path.name.endswith(".dist-info")}
    assert {"app.py", "chalicelib", "chalice", "botocore", "redis"} <= modules
    assert {"boto3", "bcrypt", "limits", "pynamodb", "redis", "python-magic"} <= set(named)


def test_list_of_contents_tells_the_hash_of_each_packages_files(listed: dict[str, Any], package: Any) -> None:
    assert listed["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": package.digest}]
    for component in listed["components"]:
        (hashed,) = [p["value"] for p in component["properties"] if p["name"] == sbom.FILES_HASH_PROPERTY]
        assert re.fullmatch("[0-9a-f]{64}", hashed)


def test_list_of_contents_names_the_c_library_inside_a_wheel(listed: dict[str, Any], contents: Path) -> None:
    (wheel,) = [component for component in listed["components"] if component["name"] == "pylibmagic"]
    (library,) = wheel["components"]
    assert library["name"] == "libmagic"
    assert library["hashes"][0]["content"] == hashlib.sha256((contents / sbom.LIBMAGIC).read_bytes()).hexdigest()


def test_same_contents_make_the_same_list(contents: Path, package: packaging.Package) -> None:
    installed = sbom.distributions(contents)
    assert sbom.document(contents, installed, package.digest) == sbom.document(contents, installed, package.digest)
