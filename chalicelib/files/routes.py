"""Listing, details, renaming, download, deletion, another try."""

from chalice.app import Request, Response

from chalicelib.audit.trail import DEFAULT_LIMIT
from chalicelib.files import logic as files
from chalicelib.files.history import file_history
from chalicelib.files.record import FILE_STATUSES, details
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.fields import to_json
from chalicelib.kernel.permissions import Scope
from chalicelib.web import queries
from chalicelib.web.answers import answer, no_content, redirect
from chalicelib.web.bodies import Body, json_object, text_field
from chalicelib.web.routing import Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("GET", "/files", needs=Scope.FILES_READ)
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
        name=queries.one(request, "name"),
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


@routes.on("GET", "/files/{file_id}", needs=Scope.FILES_READ)
def file_details(request: Request, caller: Caller, file_id: str) -> Response:
    return answer(details(files.get_file(stores(), caller, file_id)))


@routes.on("GET", "/files/{file_id}/events", needs=Scope.FILES_READ)
def file_events(request: Request, caller: Caller, file_id: str) -> Response:
    # What is wrong with the query is said after the file was found, as in :func:`rename_file`.
    file = files.get_file(stores(), caller, file_id)
    limit = queries.whole_number(request, "limit", DEFAULT_LIMIT, least=1)
    page = file_history(stores(), caller, file, limit=limit, cursor=queries.one(request, "cursor"))
    return answer({"events": page.events, "next_cursor": page.next_cursor})


@routes.on("PATCH", "/files/{file_id}", needs=Scope.FILES_WRITE, body=Body.OBJECT)
def rename_file(request: Request, caller: Caller, file_id: str) -> Response:
    # Before the body is looked into: what is wrong with it is nobody's business who can't see the file.
    files.get_file(stores(), caller, file_id)
    return answer(to_json(files.rename_file(stores(), caller, file_id, text_field(json_object(request), "filename"))))


@routes.on("POST", "/files/{file_id}/retry", needs=Scope.FILES_WRITE)
def retry_file(request: Request, caller: Caller, file_id: str) -> Response:
    return answer(to_json(files.retry_file(stores(), caller, file_id)), 202)


@routes.on("POST", "/files/bulk-delete", needs=Scope.FILES_DELETE, body=Body.OBJECT)
def delete_files(request: Request, caller: Caller) -> Response:
    ids = json_object(request).get("ids")
    if not isinstance(ids, list) or not all(isinstance(file_id, str) for file_id in ids):
        raise BadInput("ids must be a list of strings.")
    outcomes = files.delete_files(stores(), caller, ids)
    return answer({"results": [{"id": file_id, "result": outcome} for file_id, outcome in outcomes.items()]})


@routes.on("DELETE", "/files/{file_id}", needs=Scope.FILES_DELETE)
def delete_file(request: Request, caller: Caller, file_id: str) -> Response:
    files.delete_file(stores(), caller, file_id)
    return no_content()


@routes.on("GET", "/files/{file_id}/content", needs=Scope.FILES_READ)
@routes.on("HEAD", "/files/{file_id}/content", needs=Scope.FILES_READ)
def file_content(request: Request, caller: Caller, file_id: str) -> Response:
    # A presigned URL is signed for one method; a HEAD that is redirected stays a HEAD.
    method = "head_object" if request.method == "HEAD" else "get_object"
    return redirect(files.download_url(stores(), caller, file_id, method=method))
