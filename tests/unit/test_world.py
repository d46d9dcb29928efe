"""What the tests of "nothing changed" rest on."""

from __future__ import annotations

from infra.template import data_plane
from tests.unit.cloud import STACK
from tests.unit.world import World


def test_snapshot_sees_a_row_in_any_table(world: World) -> None:
    tables = [
        resource["Properties"]
        for resource in data_plane("test")["Resources"].values()
        if resource["Type"] == "AWS::DynamoDB::Table"
    ]
    assert tables
    for table in tables:
        name = table["TableName"]["Fn::Sub"].replace("${AWS::StackName}", STACK)
        types = {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]}
        row = {key["AttributeName"]: {types[key["AttributeName"]]: "1"} for key in table["KeySchema"]}
        before = world.snapshot()
        world.cloud.dynamodb.put_item(TableName=name, Item=row)
        assert world.snapshot() != before, name
    # The row of the outbox is no event.
    world.cloud.forget_events()
