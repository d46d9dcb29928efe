"""Makes the deployment package: one SAM template and one zip, by `chalice package` with our template merged in.

The zip then loses what no function uses and gains compiled bytecode: a function's folder is read-only, so that without
it every cold start would compile everything anew. Knows Chalice and zip files; must not know AWS accounts.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import gateway
from infra.deployment import DeploymentError
from infra.functions import FUNCTIONS
from infra.template import Template, everything_but_chalice

ROOT = Path(__file__).resolve().parent.parent
# Limits of Lambda: bytes of the zip (through S3) together with its contents unpacked.
UNPACKED_LIMIT_BYTES = 262_144_000
# Every AWS service's description comes with botocore, 27 MB of them. These are the ones that the functions call.
AWS_SERVICES = frozenset({"dynamodb", "s3", "sesv2", "sqs"})
# Come along with Chalice or pip's habits, and are needed to package, never to run.
UNUSED = frozenset(
    {
        "pip", "setuptools", "wheel", "pkg_resources", "_distutils_hack", "distutils-precedence.pth",
        "inquirer", "readchar", "blessed", "jinxed", "wcwidth", "editor", "editor.py", "runs", "runs.py",
        "xmod", "xmod.py", "click", "yaml", "_yaml", "pyyaml", "wrapt-stubs", "bin",
    }
)  # fmt: skip
# One date for all entries: the same contents then make the same zip. The earliest that a zip can hold.
_EPOCH = (1980, 1, 1, 0, 0, 0)
# What a function cannot run without, as the start of a name in the zip.
REQUIRED = (
    "app.py", "chalicelib/kernel/config.py", "chalice/app.py", "botocore/data/s3/", "botocore/data/endpoints.json",
    "magic/__init__.py", "pylibmagic/libmagic.so.1", "pylibmagic/magic.mgc", "bcrypt/", "pynamodb/", "redis/",
    "limits/", "homoglyph/data/prototypes.json", "pyotp/", "segno/",
)  # fmt: skip


#: The list of what is in the zip.
SBOM_NAME = "sbom.cdx.json"


class PackagingError(DeploymentError):
    """The package could not be made, or lacks something."""


@dataclass(frozen=True)
class Package:
    """A deployment package on disk."""

    stage: str
    template: Template
    zip_path: Path
    #: SHA-256 of what the zip holds, compiled bytecode aside: names the package in the artifacts bucket.
    digest: str
    unpacked_bytes: int


def package(stage: str, folder: Path, *, root: Path = ROOT) -> Package:
    """Make the package of a stage in the folder, which is created: `sam.json`, `deployment.zip` and `sbom.cdx.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "package"
        _run_chalice(root, stage, raw, Path(scratch) / "merge.json")
        template = json.loads((raw / "sam.json").read_text(encoding="utf-8"))
        contents = Path(scratch) / "contents"
        with zipfile.ZipFile(raw / "deployment.zip") as archive:
            archive.extractall(contents)
        # Here and not above: only packaging needs it.
        from infra import sbom

        installed = sbom.distributions(contents)
        _strip(contents)
        digest = _digest(contents)
        (folder / SBOM_NAME).write_text(sbom.document(contents, installed, digest), encoding="utf-8")
        _compile(contents)
        zip_path = folder / "deployment.zip"
        unpacked_bytes = _write_zip(contents, zip_path)
    finished = _finish(template)
    (folder / "sam.json").write_text(json.dumps(finished, indent=2), encoding="utf-8")
    made = Package(stage, finished, zip_path, digest, unpacked_bytes)
    check(made)
    return made


def with_code_at(template: Template, bucket: str, key: str) -> Template:
    """The template with the functions' code taken from a bucket, as CloudFormation needs it."""
    placed: Template = json.loads(json.dumps(template))
    for resource in placed["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": bucket, "Key": key}
    return placed


def check(made: Package) -> None:
    """Raise PackagingError for a package that would fail only once it is deployed."""
    with zipfile.ZipFile(made.zip_path) as archive:
        names = archive.namelist()
    missing = [start for start in REQUIRED if not any(name.startswith(start) for name in names)]
    if missing:
        raise PackagingError(f"The deployment package lacks {', '.join(missing)}. Is it in requirements.txt?")
    if made.unpacked_bytes > UNPACKED_LIMIT_BYTES:
        raise PackagingError(
            f"The deployment package is {made.unpacked_bytes:,} bytes unpacked; Lambda takes {UNPACKED_LIMIT_BYTES:,}."
        )
    resources = made.template["Resources"]
    names = [function.logical_id for function in FUNCTIONS]
    untouched = [name for name in names if "Type" not in resources.get(name, {})]
    if untouched:
        raise PackagingError(f"app.py declares no function for {', '.join(untouched)} of the template.")


def _run_chalice(root: Path, stage: str, out: Path, merge_file: Path) -> None:
    merge_file.write_text(json.dumps(everything_but_chalice(stage)), encoding="utf-8")
    command = [
        sys.executable, "-c", "from chalice.cli import main; main()",
        "--project-dir", str(root), "package",
        # Whatever is deployed is deployed as prod is; stages differ by the template's parameters. Chalice's own stage
        # `local` is that of its local server.
        "--stage", "prod",
        "--merge-template", str(merge_file), "--template-format", "json", str(out),
    ]  # fmt: skip
    # Chalice asks for a region before it does anything, and puts it nowhere into the package.
    environment = {"AWS_DEFAULT_REGION": "us-east-1", **os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PackagingError(f"chalice package failed:\n{result.stdout}{result.stderr}")


def _finish(template: Template) -> Template:
    """Put in what a merge cannot say."""
    api: dict[str, Any] = template["Resources"]["RestAPI"]["Properties"]
    definition: dict[str, Any] = api["DefinitionBody"]
    definition |= gateway.definition_extras()
    # Chalice says this in the definition only; not every gateway reads it there, and one that does not spoils uploads.
    api["BinaryMediaTypes"] = definition["x-amazon-apigateway-binary-media-types"]
    let_console_upload(template["Resources"]["TempBucket"]["Properties"])
    # Ours is ApiUrl, without the slash at its end.
    del template["Outputs"]["EndpointURL"]
    return template


def let_console_upload(bucket: dict[str, Any]) -> None:
    """The console is a page of the API's own addresses, and these stand in this template only."""
    condition, of_others, none = bucket["CorsConfiguration"]["Fn::If"]
    [rule] = of_others["CorsRules"]
    own = [
        {"Fn::Sub": "https://${RestAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
        {"Fn::If": ["HasDomain", {"Fn::Sub": "https://${DomainName}"}, none]},
    ]
    bucket["CorsConfiguration"] = {"CorsRules": [{**rule, "AllowedOrigins": own}, {"Fn::If": [condition, rule, none]}]}


def _strip(contents: Path) -> None:
    for entry in list(contents.iterdir()):
        if entry.name in UNUSED:
            _remove(entry)
        elif entry.name.endswith(".dist-info"):
            name = entry.name.split("-")[0].lower()
            if name in UNUSED or name == "chalice":
                _remove(entry)
    data = contents / "botocore" / "data"
    for entry in list(data.iterdir()) if data.is_dir() else []:
        if entry.is_dir() and entry.name not in AWS_SERVICES:
            _remove(entry)
    for pattern in ("**/__pycache__", "**/*.pyi", "**/*.la", "**/tests"):
        for entry in list(contents.glob(pattern)):
            if entry.exists():
                _remove(entry)
    # The wheel holds the library under three names, as three copies; the loader asks for `.so.1`.
    for name in ("libmagic.so", "libmagic.so.1.0.0", "pkgconfig"):
        if (contents / "pylibmagic" / name).exists():
            _remove(contents / "pylibmagic" / name)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _files(contents: Path) -> list[Path]:
    return sorted(path for path in contents.rglob("*") if path.is_file())


def _digest(contents: Path) -> str:
    total = hashlib.sha256()
    for path in _files(contents):
        name = path.relative_to(contents).as_posix()
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _compile(contents: Path) -> None:
    """Bytecode that is used without a look at the source's date: the zip has no dates."""
    command = [
        sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(contents),
        "-j", "0", str(contents),
    ]  # fmt: skip
    # Some libraries carry files for other versions of Python, which do not compile. They are never imported either.
    subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, check=False)


def _write_zip(contents: Path, zip_path: Path) -> int:
    """Returns the bytes of the contents."""
    total = 0
    with zipfile.ZipFile(zip_path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in _files(contents):
            entry = zipfile.ZipInfo(path.relative_to(contents).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Readable for the user that Lambda runs as; shared libraries may be executed.
            entry.external_attr = (0o755 if ".so" in path.name else 0o644) << 16
            body = path.read_bytes()
            total += len(body)
            archive.writestr(entry, body)
    return total


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m infra.packaging FOLDER [STAGE]")
    done = package(sys.argv[2] if len(sys.argv) == 3 else "prod", Path(sys.argv[1]))
    print(
        f"{done.zip_path}: {done.zip_path.stat().st_size / 1e6:.1f} MB, {done.unpacked_bytes / 1e6:.1f} MB unpacked; "
        f"{done.zip_path.with_name('sam.json')}: {len(done.template['Resources'])} resources; "
        f"{done.zip_path.with_name(SBOM_NAME)}: what is in it"
    )
