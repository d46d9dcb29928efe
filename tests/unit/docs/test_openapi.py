"""The API's description names every route that there is, and is what the API serves."""

from __future__ import annotations

import json

import app as application
from chalicelib.all_routes import ROUTES
from infra.openapi import TARGET, compile_document
from tests.unit.api import Api
from tests.unit.contract import check_success

METHODS = {"get", "head", "post", "put", "patch", "delete"}


def test_document_names_every_route_and_no_other() -> None:
    routes = {
        (path, method.lower())
        for path, methods in application.app.routes.items()
        for method in methods
        if method != "OPTIONS"
    }
    paths = json.loads(compile_document())["paths"]
    assert {(path, method) for path, item in paths.items() for method in item if method in METHODS} == routes


def test_operations_have_names_of_their_own() -> None:
    paths = json.loads(compile_document())["paths"]
    names = [operation["operationId"] for item in paths.values() for name, operation in item.items() if name in METHODS]
    assert len(names) == len(set(names))


def test_packaged_document_is_the_one_that_people_write() -> None:
    assert TARGET.read_text(encoding="utf-8") == compile_document(), "run: make openapi"


def test_api_serves_it(api: Api) -> None:
    answer = api.get("/openapi.json")
    check_success(answer)
    assert answer.json == json.loads(compile_document())


def test_bodies_are_described_as_the_routes_read_them() -> None:
    paths = json.loads(compile_document())["paths"]
    for routes in ROUTES:
        for operation in routes.operations:
            described = paths[operation.path][operation.method.lower()].get("requestBody", {"content": {}})
            read = [media_type for media_type in operation.body.media_types if media_type]
            assert sorted(described["content"]) == sorted(read), (operation.method, operation.path)
            if read:
                assert described.get("required", False) == ("" not in operation.body.media_types)
