"""Uploading, listing, details, download, deletion."""

from chalice.app import Blueprint, Request, Response

from chalicelib.accounts import limits
from chalicelib.files import logic as files
from chalicelib.files.record import FILE_STATUSES
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.fields import to_json
from chalicelib.uploads import form_uploads as uploads
from chalicelib.uploads.direct_routes import start_direct_upload
from chalicelib.web import forms, queries
from chalicelib.web.http import (
    JSON,
    RESPONSE_HEADERS,
    answer,
    json_object,
    media_type,
    signed_in,
    tell_limit,
    text_field,
)
from chalicelib.wiring import stores

routes = Blueprint(__name__)


@routes.route("/files", methods=["POST"], content_types=[])
@signed_in(routes)
def upload(request: Request, caller: Caller) -> Response:
    tell_limit(request, limits.count_upload(stores(), caller))
    if media_type(request.headers) == JSON:
        return start_direct_upload(request, caller)
    uploads.check_form_size(stores(), max(0, len(request.raw_body) - forms.FORM_OVERHEAD_BYTES))
    sent = forms.read_file(request)
    file = uploads.upload_form(stores(), caller, sent.filename, sent.declared_type, sent.body)
    return answer(to_json(file), 201, {"Location": f"/files/{file.file_id}"})


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
            "files": [to_json(file) for file in listing.files],
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
    return answer({**to_json(file), "uploaded_by": uploaded_by})


@routes.route("/files/{file_id}", methods=["PATCH"], content_types=[])
@signed_in(routes)
def rename_file(request: Request, caller: Caller, file_id: str) -> Response:
    # Check the file's organisation before the body, so that a caller of another organisation always gets 404.
    files.get_file(stores(), caller, file_id)
    return answer(to_json(files.rename_file(stores(), caller, file_id, text_field(json_object(request), "filename"))))


@routes.route("/files/{file_id}/retry", methods=["POST"], content_types=[])
@signed_in(routes)
def retry_file(request: Request, caller: Caller, file_id: str) -> Response:
    return answer(to_json(files.retry_file(stores(), caller, file_id)), 202)


@routes.route("/files/bulk-delete", methods=["POST"], content_types=[])
@signed_in(routes)
def delete_files(request: Request, caller: Caller) -> Response:
    ids = json_object(request).get("ids")
    if not isinstance(ids, list) or not all(isinstance(file_id, str) for file_id in ids):
        raise BadInput("ids must be a list of strings.")
    outcomes = files.delete_files(stores(), caller, ids)
    return answer({"results": [{"id": file_id, "result": outcome} for file_id, outcome in outcomes.items()]})


@routes.route("/usage", methods=["GET"], content_types=[])
@signed_in(routes)
def usage(request: Request, caller: Caller) -> Response:
    organization = files.get_usage(stores(), caller)
    used = organization.usage
    return answer(
        {
            "bytes": {"used": used.bytes_used, "quota": used.bytes_used + used.bytes_available},
            "files": {"used": used.files_used, "quota": used.files_used + used.files_available},
            "by_status": {status: organization.file_count(status) for status in FILE_STATUSES},
        }
    )


@routes.route("/files/{file_id}", methods=["DELETE"], content_types=[])
@signed_in(routes)
def delete_file(request: Request, caller: Caller, file_id: str) -> Response:
    files.delete_file(stores(), caller, file_id)
    return Response(body="", status_code=204, headers=dict(RESPONSE_HEADERS))


@routes.route("/files/{file_id}/content", methods=["GET", "HEAD"], content_types=[])
@signed_in(routes)
def file_content(request: Request, caller: Caller, file_id: str) -> Response:
    # A presigned URL is signed for one method; a HEAD that is redirected stays a HEAD.
    method = "head_object" if request.method == "HEAD" else "get_object"
    location = files.download_url(stores(), caller, file_id, method=method)
    return Response(body="", status_code=302, headers={"Location": location, **RESPONSE_HEADERS})
