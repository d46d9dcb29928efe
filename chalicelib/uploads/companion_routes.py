"""The S3 contract of Uppy's Companion, so that @uppy/aws-s3 works by setting its endpoint and nothing else.

Each path is there twice: under /s3 for a session, and under /t/{ticket}/s3 for an upload ticket. Names and shapes are
Companion's, not ours.
"""

import re
from typing import Any

from chalice.app import Request, Response

from chalicelib import keys
from chalicelib.accounts import limits
from chalicelib.files import logic as files
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput, Conflict, FileNotFound
from chalicelib.kernel.permissions import Scope
from chalicelib.uploads import direct_uploads, part_limits
from chalicelib.uploads.direct_uploads import UploadIntent
from chalicelib.uploads.routes import listed_part
from chalicelib.web import queries
from chalicelib.web.answers import answer
from chalicelib.web.bodies import Body, json_object, text_field
from chalicelib.web.identity import token_of
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.origins import check_origin
from chalicelib.web.routing import Routes, View
from chalicelib.wiring import stores

routes = Routes(__name__)

#: Uppy sends a file's meta fields along; a page that lists `size` among them gets an exact policy and reservation.
SIZE_FIELD = "size"


def upload_parameters(request: Request, caller: Caller) -> Response:
    """GET /s3/params"""
    if token_of(request)[1]:
        # This GET reserves quota, so a page of another origin must not be able to send it by cookie.
        check_origin(request)
    report_limit(request, limits.count_upload(stores(), caller))
    announced = UploadIntent(
        filename=queries.one(request, "filename") or "",
        size_bytes=_announced_size(queries.one(request, f"metadata[{SIZE_FIELD}]")),
        content_type=queries.one(request, "type"),
    )
    started = direct_uploads.start_form(stores(), caller, announced)
    assert started.form is not None
    return answer(
        {
            "method": "POST",
            "url": started.form.url,
            "fields": started.form.fields,
            "expires": stores().settings.upload_url_ttl_seconds,
        }
    )


def create_multipart(request: Request, caller: Caller) -> Response:
    """POST /s3/multipart"""
    report_limit(request, limits.count_upload(stores(), caller))
    body = json_object(request)
    metadata = body.get("metadata")
    content_type = body.get("type")
    announced = UploadIntent(
        filename=text_field(body, "filename"),
        size_bytes=_announced_size(metadata.get(SIZE_FIELD) if isinstance(metadata, dict) else None),
        content_type=content_type if isinstance(content_type, str) else None,
    )
    file = direct_uploads.start_multipart(stores(), caller, announced, "uppy").file
    key = keys.temp_key(file.organization_id, file.file_id)
    return answer({"key": key, "uploadId": file.multipart_upload_id, "bucket": stores().direct_uploads.bucket})


def list_arrived(request: Request, caller: Caller, upload_id: str) -> Response:
    """GET /s3/multipart/{uploadId}?key="""
    parts = direct_uploads.arrived_parts(stores(), _upload(request, caller, upload_id))
    return answer([{"PartNumber": p.number, "Size": p.size_bytes, "ETag": f'"{p.etag}"'} for p in parts])


def sign_part(request: Request, caller: Caller, upload_id: str, part_number: str) -> Response:
    """GET /s3/multipart/{uploadId}/{partNumber}?key="""
    file = _upload(request, caller, upload_id)
    number = _part_number(part_number)
    urls = direct_uploads.sign_parts(stores(), file, [number])
    return answer({"url": urls[number], "expires": part_limits.url_ttl_seconds(stores(), file)})


def sign_batch(request: Request, caller: Caller, upload_id: str) -> Response:
    """GET /s3/multipart/{uploadId}/batch?key=&partNumbers=1,2"""
    file = _upload(request, caller, upload_id)
    numbers = [_part_number(raw) for raw in (queries.one(request, "partNumbers") or "").split(",")]
    urls = direct_uploads.sign_parts(stores(), file, numbers)
    return answer({"presignedUrls": {str(number): url for number, url in urls.items()}})


def complete_multipart(request: Request, caller: Caller, upload_id: str) -> Response:
    """POST /s3/multipart/{uploadId}/complete?key="""
    file = _upload(request, caller, upload_id)
    parts = json_object(request).get("parts")
    if not isinstance(parts, list):
        raise BadInput("parts must be a list.")
    listed = [listed_part(part, "PartNumber", "ETag") for part in parts]
    file = direct_uploads.complete(stores(), file, listed)
    key = keys.temp_key(file.organization_id, file.file_id)
    return answer({"location": f"/files/{file.file_id}", "key": key, "bucket": stores().direct_uploads.bucket})


def abort_multipart(request: Request, caller: Caller, upload_id: str) -> Response:
    """DELETE /s3/multipart/{uploadId}?key="""
    file = _upload(request, caller, upload_id)
    if file.status == "completed":
        raise BadInput("The upload is completed; delete the file instead.")
    files.delete_file(stores(), caller, file.file_id)
    return answer({})


CONTRACT: tuple[tuple[str, str, Body, View], ...] = (
    ("GET", "/s3/params", Body.UNREAD, upload_parameters),
    ("POST", "/s3/multipart", Body.OBJECT, create_multipart),
    ("GET", "/s3/multipart/{upload_id}", Body.UNREAD, list_arrived),
    ("DELETE", "/s3/multipart/{upload_id}", Body.UNREAD, abort_multipart),
    ("GET", "/s3/multipart/{upload_id}/batch", Body.UNREAD, sign_batch),
    ("POST", "/s3/multipart/{upload_id}/complete", Body.OBJECT, complete_multipart),
    ("GET", "/s3/multipart/{upload_id}/{part_number}", Body.UNREAD, sign_part),
)

for method, path, body, view in CONTRACT:
    for prefix in ("", "/t/{ticket}"):
        routes.on(method, prefix + path, needs=Scope.FILES_WRITE, body=body)(view)


def _upload(request: Request, caller: Caller, upload_id: str) -> File:
    """
    :raises FileNotFound: the key and the upload id are not those of an upload that this user started.
    :raises Conflict: it was not started here; its parts have lengths that Uppy does not know.
    """
    parsed = keys.parse_temp_key(queries.one(request, "key") or "")
    if parsed is None or parsed[0] != caller.organization_id:
        raise FileNotFound
    file = direct_uploads.own_upload(stores(), caller, parsed[1], upload_id)
    if file.upload_method != "uppy":
        path = f"/files/{file.file_id}"
        raise Conflict(
            f"This upload was started by POST /files: go on at {path}/parts, or give it up by DELETE {path}."
        )
    return file


def _announced_size(raw: Any) -> int | None:
    """The size out of a meta field, which is text in a query and anything in JSON; None when it says nothing.

    :raises BadInput: it says something that is no size.
    """
    if raw in (None, "", "undefined", "null"):
        return None
    text = str(raw) if isinstance(raw, str) or type(raw) is int else ""
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise BadInput(f"metadata {SIZE_FIELD} must be a whole number of bytes, 0 or more, or be left out.")
    return int(text)


def _part_number(raw: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", raw):
        raise BadInput("A part number must be a whole number from 1 to 10000.")
    return int(raw)
