"""Dead letters back into the uploads queue: each one seen, none lost, whatever fails on the way."""

from __future__ import annotations

import json

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import EndpointConnectionError

from infra.redrive import redrive
from tests.aws_calls import just_before, listening, refused, unreachable
from tests.moto_aws import s3_notification
from tests.unit.api import Api, Session
from tests.unit.cloud import DEAD_LETTER_QUEUE, QUEUE, TEMP_BUCKET
from tests.unit.conftest import Configure
from tests.unit.operator.conftest import Operator
from tests.unit.world import World


def bury(world: World, *names: str) -> None:
    for name in names:
        world.sqs.send_message(
            QueueUrl=world.queue_url.replace(QUEUE, DEAD_LETTER_QUEUE),
            MessageBody=json.dumps(s3_notification(name, bucket=TEMP_BUCKET)),
        )


def waiting(world: World) -> list[str]:
    """Which objects the uploads queue tells of."""
    event = world.receive() or {"Records": []}
    return sorted(
        record["s3"]["object"]["key"]
        for message in event["Records"]
        for record in json.loads(message["body"])["Records"]
    )


def buried(world: World) -> list[str]:
    return sorted(json.loads(body)["Records"][0]["s3"]["object"]["key"] for body in world.dead_letters())


def test_file_that_failed_is_completed_after_a_redrive(
    operator: Operator, world: World, api: Api, anna: Session
) -> None:
    file_id = api.upload(anna, b"hello").json["id"]
    with refused("s3.GetObject"):
        world.drain()
    assert api.get(f"/files/{file_id}", anna).json["status"] == "failed"
    assert len(world.dead_letters()) == 1
    said = operator.done("redrive")
    assert world.temp_key(file_id) in said
    assert said.endswith("1 messages moved.\n")
    assert world.dead_letters() == []
    world.drain()
    assert api.get(f"/files/{file_id}", anna).json["status"] == "completed"


def test_all_that_are_there_are_moved_and_a_second_run_has_nothing_to_do(operator: Operator, world: World) -> None:
    names = [f"organization/{number:02}" for number in range(12)]
    bury(world, *names)
    assert operator.done("redrive").endswith("12 messages moved.\n")
    assert (buried(world), world.queued()) == ([], 12)
    assert operator.done("redrive") == "There are no dead letters.\n"


def test_limit_leaves_the_rest(operator: Operator, world: World) -> None:
    bury(world, "o/a", "o/b", "o/c")
    assert operator.done("redrive", "--limit", "2").endswith("2 messages moved.\n")
    assert (len(buried(world)), len(waiting(world))) == (1, 2)
    assert "0 is not in the range" in operator.refused("redrive", "--limit", "0", exit_code=2)


def test_when_sending_fails_midway_nothing_is_lost_and_the_next_run_moves_the_rest_at_once(
    operator: Operator, world: World, unhurried: list[float]
) -> None:
    names = ["o/a", "o/b", "o/c", "o/d", "o/e"]
    bury(world, *names)
    sent = 0

    def fail_from_the_third(operation: str, _: AWSPreparedRequest) -> None:
        nonlocal sent
        sent += operation == "sqs.SendMessage"
        if operation == "sqs.SendMessage" and sent > 2:
            raise EndpointConnectionError(endpoint_url="https://away.example")

    with listening(fail_from_the_third):
        result = operator.run("redrive")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Can't reach AWS: ")
    assert (len(buried(world)), world.queued()) == (3, 2)
    assert operator.done("redrive").endswith("3 messages moved.\n")
    assert (buried(world), waiting(world)) == ([], names)


def test_message_that_was_sent_but_not_deleted_stays_a_dead_letter(
    operator: Operator, world: World, unhurried: list[float]
) -> None:
    bury(world, "o/a")
    with unreachable("sqs.DeleteMessage"):
        assert operator.run("redrive").exit_code == 1
    assert (buried(world), waiting(world)) == (["o/a"], ["o/a"])


def test_messages_of_another_redrive_at_the_same_time_are_left_to_it(operator: Operator, world: World) -> None:
    bury(world, "o/a")
    with just_before("sqs.SendMessage", lambda: _nested_redrive(world)):
        assert operator.done("redrive").endswith("1 messages moved.\n")
    assert waiting(world) == ["o/a"]


def _nested_redrive(world: World) -> None:
    assert redrive(world.stores, lambda line: None) == 0


def test_message_that_is_no_notification_is_moved_and_named(operator: Operator, world: World) -> None:
    world.sqs.send_message(QueueUrl=world.queue_url.replace(QUEUE, DEAD_LETTER_QUEUE), MessageBody="not JSON")
    assert "a message that is no S3 notification" in operator.done("redrive")
    assert (world.dead_letters(), world.queued()) == ([], 1)


def test_without_the_address_of_the_dead_letters_it_says_so(operator: Operator, configure: Configure) -> None:
    configure(DEAD_LETTER_QUEUE_URL=None)
    assert operator.refused("redrive").startswith("DEAD_LETTER_QUEUE_URL is not set")
