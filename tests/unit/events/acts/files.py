"""Files and uploads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib.tenants import organizations as tenants
from tests.aws_calls import refused
from tests.unit.api import multipart_form
from tests.unit.events.acts.act import Acts, Make, Request, Scene, Told
from tests.unit.keys import make_key

FILES = Acts()
on = FILES.on
CREATED = Told("file.created", "file")


# ---- files -------------------------------------------------------------------------------------------------------
@on("POST /files", 201, Told("file.created", "file", data={"status": "pending", "filename": "a.txt"}))
def form(scene: Scene) -> Request:
    content_type, body = multipart_form([("file", "a.txt", "text/plain", b"x")])
    return Request("POST", "/files", scene.anna, headers={"Content-Type": content_type}, body=body)


@on("POST /files", 201, CREATED)
def announced(scene: Scene) -> Request:
    return Request("POST", "/files", scene.anna, json_body={"filename": "a.txt", "size": 1})


@on("POST /files", 201, Told("file.created", "file", "api_key"))
def announced_by_a_key(scene: Scene) -> Request:
    return Request("POST", "/files", make_key(scene.api, scene.anna), json_body={"filename": "a.txt", "size": 1})


@on("POST /files", 409)
def beyond_the_quota(scene: Scene) -> Request:
    tenants.set_quota(scene.world.stores, scene.anna.caller.organization_id, 0, 0)
    return Request("POST", "/files", scene.anna, json_body={"filename": "a.txt", "size": 1})


@on(
    "PATCH /files/{file_id}",
    200,
    Told("file.renamed", "file", changes={"filename": ("hello.txt", "b.txt")}),
)
def renamed(scene: Scene) -> Request:
    return Request("PATCH", f"/files/{scene.uploaded()}", scene.anna, json_body={"filename": "b.txt"})


@on("PATCH /files/{file_id}", 200)
def named_as_before(scene: Scene) -> Request:
    return Request("PATCH", f"/files/{scene.uploaded()}", scene.anna, json_body={"filename": "hello.txt"})


@on("POST /files/{file_id}/retry", 202, Told("file.retried", "file", data={"status": "pending"}))
def retried(scene: Scene) -> Request:
    file_id = scene.uploaded()
    with refused("s3.CopyObject"):
        scene.world.drain()
    return Request("POST", f"/files/{file_id}/retry", scene.anna)


@on("POST /files/{file_id}/retry", 409)
def retried_what_is_completed(scene: Scene) -> Request:
    return Request("POST", f"/files/{scene.uploaded(status='completed')}/retry", scene.anna)


@on("DELETE /files/{file_id}", 204, Told("file.deleted", "file", data={"status": "completed"}))
def deleted(scene: Scene) -> Request:
    return Request("DELETE", f"/files/{scene.uploaded(status='completed')}", scene.anna)


@on("DELETE /files/{file_id}", 404)
def deleted_before(scene: Scene) -> Request:
    file_id = scene.uploaded()
    scene.api.delete(f"/files/{file_id}", scene.anna)
    return Request("DELETE", f"/files/{file_id}", scene.anna)


@on("POST /files/bulk-delete", 200, Told("file.deleted", "file"), Told("file.deleted", "file"))
def deleted_many(scene: Scene) -> Request:
    ids = [scene.uploaded(), scene.uploaded(), "01890000-0000-7000-8000-000000000000"]
    return Request("POST", "/files/bulk-delete", scene.anna, json_body={"ids": ids})


@on("GET /files/{file_id}/content", 302, Told("file.downloaded", "file"))
def downloaded(scene: Scene) -> Request:
    return Request("GET", f"/files/{scene.uploaded(status='completed')}/content", scene.anna)


@on("GET /files/{file_id}/content", 409)
def downloaded_too_early(scene: Scene) -> Request:
    return Request("GET", f"/files/{scene.uploaded()}/content", scene.anna)


@on("HEAD /files/{file_id}/content", 302, Told("file.downloaded", "file"))
def looked_at(scene: Scene) -> Request:
    return Request("HEAD", f"/files/{scene.uploaded(status='completed')}/content", scene.anna)


# ---- straight to S3 ----------------------------------------------------------------------------------------------
@on("POST /files/{file_id}/parts", 200)
def signed_parts(scene: Scene) -> Request:
    started = scene.made("/files", filename="a.bin", size=200_000_000)
    return Request("POST", started["upload"]["parts"], scene.anna, json_body={"part_numbers": [1, 2]})


@on("POST /files/{file_id}/complete", 200)
def put_together(scene: Scene) -> Request:
    """Its bytes are there then; processing tells that it is completed."""
    started = scene.made("/s3/multipart", filename="a.bin", metadata={"size": 4})
    send_part(scene, started)
    return Request("POST", f"/files/{started['key'].rpartition('/')[2]}/complete", scene.anna)


def send_part(scene: Scene, started: Any) -> Any:
    return scene.world.s3.upload_part(
        Bucket=started["bucket"], Key=started["key"], UploadId=started["uploadId"], PartNumber=1, Body=b"four"
    )


# ---- the contract of Uppy's Companion, with a session and with a ticket -------------------------------------------
def by_both(route: str, status: int, *types: str) -> Callable[[Make], Make]:
    """The same act on both paths: by a session, and by a ticket that stands for it."""
    method, _, path = route.partition(" ")

    def add(make: Make) -> Make:
        def by_ticket(scene: Scene) -> Request:
            request = make(scene)
            base = scene.api.post("/auth/ticket", scene.anna).json["base_path"]
            return Request(method, base + request.path, json_body=request.json_body, secrets=(base.rpartition("/")[2],))

        by_ticket.__name__ = f"{make.__name__}_by_ticket"
        on(route, status, *(Told(kind, "file") for kind in types))(make)
        on(f"{method} /t/{{ticket}}{path}", status, *(Told(kind, "file", "ticket") for kind in types))(by_ticket)
        return make

    return add


@by_both("GET /s3/params", 200, "file.created")
def parameters(scene: Scene) -> Request:
    return Request("GET", "/s3/params?filename=a.txt", scene.anna)


@by_both("POST /s3/multipart", 200, "file.created")
def started_parts(scene: Scene) -> Request:
    body = {"filename": "a.bin", "type": "application/zip", "metadata": {"size": 4}}
    return Request("POST", "/s3/multipart", scene.anna, json_body=body)


@by_both("DELETE /s3/multipart/{upload_id}", 200, "file.deleted")
def given_up(scene: Scene) -> Request:
    started = scene.made("/s3/multipart", filename="a.bin")
    return Request("DELETE", f"/s3/multipart/{started['uploadId']}?key={started['key']}", scene.anna)


@by_both("POST /s3/multipart/{upload_id}/complete", 200)
def ended(scene: Scene) -> Request:
    started = scene.made("/s3/multipart", filename="a.bin", metadata={"size": 4})
    parts = [{"PartNumber": 1, "ETag": send_part(scene, started)["ETag"]}]
    path = f"/s3/multipart/{started['uploadId']}/complete?key={started['key']}"
    return Request("POST", path, scene.anna, json_body={"parts": parts})
