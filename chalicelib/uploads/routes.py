"""Uploads in the API's own form: by a form, or straight to S3 (start, sign parts, list what arrived, complete)."""

import re
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from chalice.app import Request, Response

from chalicelib.accounts import limits
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.fields import to_json
from chalicelib.kernel.permissions import Scope
from chalicelib.uploads import direct_uploads, form_uploads, part_limits
from chalicelib.uploads.direct_uploads import Started, UploadIntent
from chalicelib.web import forms
from chalicelib.web.answers import JSON, answer, location
from chalicelib.web.bodies import Body, body_stream, json_object, media_type, text_field
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.routing import Routes
from chalicelib.wiring import stores

routes = Routes(__name__)

#: What S3 reads the checksum of a part from.
CHECKSUM_HEADER = "x-amz-checksum-crc64nvme"


@routes.on("POST", "/files", needs=Scope.FILES_WRITE, body=Body.FILE_OR_OBJECT)
def upload(request: Request, caller: Caller) -> Response:
    report_limit(request, limits.count_upload(stores(), caller))
    if media_type(request.headers) == JSON:
        return _start_direct_upload(request, caller)
    form_uploads.check_form_size(stores(), max(0, body_stream(request)[1] - forms.FORM_OVERHEAD_BYTES))
    with closing(forms.read_file(request)) as sent:
        file = form_uploads.upload_form(stores(), caller, sent.filename, sent.declared_type, sent.body)
    return answer(to_json(file), 201, {"Location": location(request, f"/files/{file.file_id}")})


def _start_direct_upload(request: Request, caller: Caller) -> Response:
    """POST /files with JSON: the record, and how to send the bytes."""
    body = json_object(request)
    announced = UploadIntent(
        filename=text_field(body, "filename"),
        size_bytes=_whole_number(body, "size"),
        content_type=text_field(body, "content_type") if body.get("content_type") is not None else None,
        sha256=text_field(body, "sha256").lower() if body.get("sha256") is not None else None,
    )
    started = direct_uploads.start_upload(stores(), caller, announced)
    record = {**to_json(started.file), "upload": _upload_json(started)}
    return answer(record, 201, {"Location": location(request, f"/files/{started.file.file_id}")})


@routes.on("POST", "/files/{file_id}/parts", needs=Scope.FILES_WRITE, body=Body.OBJECT)
def sign_parts(request: Request, caller: Caller, file_id: str) -> Response:
    file = direct_uploads.own_upload(stores(), caller, file_id)
    body = json_object(request)
    numbers = body.get("part_numbers")
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise BadInput("part_numbers must be a list of whole numbers.")
    checksums = _part_checksums(body)
    urls = direct_uploads.sign_parts(stores(), file, numbers, checksums)
    expires_at = _time(int(datetime.now(UTC).timestamp()) + part_limits.url_ttl_seconds(stores(), file))
    return answer(
        {
            "parts": [
                {
                    "part_number": number,
                    "url": url,
                    "headers": {CHECKSUM_HEADER: checksums[number]} if number in checksums else {},
                    "expires_at": expires_at,
                }
                for number, url in urls.items()
            ]
        }
    )


def _part_checksums(body: dict[str, Any]) -> dict[int, str]:
    """:raises BadInput: not an object of part number -> text."""
    told = body.get("crc64nvme")
    if told is None:
        return {}
    if not isinstance(told, dict) or not all(
        re.fullmatch(r"[1-9][0-9]{0,4}", number) and isinstance(checksum, str) for number, checksum in told.items()
    ):
        raise BadInput("crc64nvme must be an object of part numbers, each with the checksum of the part in base64.")
    return {int(number): checksum for number, checksum in told.items()}


@routes.on("GET", "/files/{file_id}/parts", needs=Scope.FILES_WRITE)
def list_parts(request: Request, caller: Caller, file_id: str) -> Response:
    file = direct_uploads.own_upload(stores(), caller, file_id)
    parts = direct_uploads.arrived_parts(stores(), file)
    return answer({"parts": [{"part_number": p.number, "size": p.size_bytes, "etag": p.etag} for p in parts]})


@routes.on("POST", "/files/{file_id}/complete", needs=Scope.FILES_WRITE, body=Body.OPTIONAL_OBJECT)
def complete_upload(request: Request, caller: Caller, file_id: str) -> Response:
    file = direct_uploads.own_upload(stores(), caller, file_id)
    listed = _listed_parts(json_object(request)) if request.raw_body else None
    return answer(to_json(direct_uploads.complete(stores(), file, listed)))


def listed_part(part: Any, number_name: str, etag_name: str) -> tuple[int, str]:
    """:raises BadInput: not an object with a number and an ETag."""
    if not isinstance(part, dict) or type(part.get(number_name)) is not int or not isinstance(part.get(etag_name), str):
        raise BadInput(f"Each of parts must have {number_name}, a whole number, and {etag_name}, a string.")
    return part[number_name], part[etag_name]


def _listed_parts(body: dict[str, Any]) -> list[tuple[int, str]] | None:
    parts = body.get("parts")
    if parts is None:
        return None
    if not isinstance(parts, list):
        raise BadInput("parts must be a list.")
    return [listed_part(part, "part_number", "etag") for part in parts]


def _whole_number(body: dict[str, Any], name: str) -> int:
    value = body.get(name)
    if type(value) is not int or value < 0:
        raise BadInput(f"{name} must be a whole number of bytes, 0 or more.")
    return value


def _upload_json(started: Started) -> dict[str, Any]:
    file, expires_at = started.file, _time(started.expires_at)
    if started.form is not None:
        return {"method": "POST", "url": started.form.url, "fields": started.form.fields, "expires_at": expires_at}
    return {
        "method": "multipart",
        "part_size": file.part_bytes,
        "part_count": direct_uploads.part_count(file),
        **_multipart_paths(file),
        "expires_at": expires_at,
    }


def _multipart_paths(file: File) -> dict[str, str]:
    path = f"/files/{file.file_id}"
    return {"parts": f"{path}/parts", "complete": f"{path}/complete", "abort": path}


def _time(epoch_seconds: int) -> str:
    return timestamp(datetime.fromtimestamp(epoch_seconds, UTC))
