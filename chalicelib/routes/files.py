"""Uploading, listing, details, download, deletion."""

from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.errors import BadInput
from chalicelib.logic import files, limits, uploads
from chalicelib.records import FILE_STATUSES, Caller, File
from chalicelib.routes import forms, queries
from chalicelib.routes.http import ALWAYS, answer, signed_in, tell_limit
from chalicelib.wiring import stores

routes = Blueprint(__name__)


@routes.route("/files", methods=["POST"], content_types=[])
@signed_in(routes)
def upload(request: Request, caller: Caller) -> Response:
    tell_limit(request, limits.count_upload(stores(), caller))
    uploads.check_form_size(stores(), max(0, len(request.raw_body) - forms.FORM_OVERHEAD_BYTES))
    sent = forms.read_file(request)
    file = uploads.upload_form(stores(), caller, sent.filename, sent.declared_type, sent.body)
    return answer(file_json(file), 201, {"Location": f"/files/{file.file_id}"})


@routes.route("/files", methods=["GET"], content_types=[])
@signed_in(routes)
def list_files(request: Request, caller: Caller) -> Response:
    cursor = queries.one(request, "cursor")
    if cursor is not None and queries.one(request, "offset") is not None:
        raise BadInput("Give either offset or cursor, not both.")
    listing = files.list_files(
        stores(),
        caller,
        limit=queries.whole_number(request, "limit", files.DEFAULT_LIMIT, least=1),
        offset=queries.whole_number(request, "offset", 0, least=0),
        cursor=cursor,
        status=queries.choice(request, "status", FILE_STATUSES),
        mime_type=queries.mime_type(request, "mime_type"),
    )
    return answer(
        {
            "files": [file_json(file) for file in listing.files],
            "total": listing.total,
            "limit": listing.limit,
            "offset": listing.offset,
            "next_cursor": listing.next_cursor,
        }
    )


@routes.route("/files/{file_id}", methods=["GET"], content_types=[])
@signed_in(routes)
def file_details(request: Request, caller: Caller, file_id: str) -> Response:
    file = files.get_file(stores(), caller, file_id)
    uploaded_by = {"id": file.uploaded_by_id, "username": file.uploaded_by_username}
    return answer({**file_json(file), "uploaded_by": uploaded_by})


@routes.route("/files/{file_id}", methods=["DELETE"], content_types=[])
@signed_in(routes)
def delete_file(request: Request, caller: Caller, file_id: str) -> Response:
    files.delete_file(stores(), caller, file_id)
    return Response(body="", status_code=204, headers=dict(ALWAYS))


@routes.route("/files/{file_id}/content", methods=["GET", "HEAD"], content_types=[])
@signed_in(routes)
def file_content(request: Request, caller: Caller, file_id: str) -> Response:
    # A presigned URL is signed for one method; a HEAD that is redirected stays a HEAD.
    method = "head_object" if request.method == "HEAD" else "get_object"
    location = files.download_url(stores(), caller, file_id, method=method)
    return Response(body="", status_code=302, headers={"Location": location, **ALWAYS})


def file_json(file: File) -> dict[str, Any]:
    """The contract's file record."""
    record: dict[str, Any] = {
        "id": file.file_id,
        "filename": file.filename,
        "status": file.status,
        "file_size": file.file_size,
        "mime_type": file.mime_type,
        "sha256_hash": file.sha256_hash,
        "created_at": file.created_at,
        "processed_at": file.processed_at,
    }
    if file.status == "failed":
        record["error_message"] = file.error_message
    return record
