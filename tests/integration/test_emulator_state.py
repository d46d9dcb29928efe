"""The emulator of `make up` keeps what it has answered, however it ends, and keeps it on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local import emulator
from infra.local.keys import KeyFile
from infra.local.processes import Child, free_port
from tests.integration.conftest import Output, await_condition

MEGABYTE = 1024 * 1024
PART = b"p" * (5 * MEGABYTE)


class Emulator:
    """One of its own, to be ended and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "aws"
        self.port = free_port()
        self._output = Output()
        self.start()

    def start(self) -> None:
        self.child: Child = emulator.start_emulator(self.port, self.folder, self._output.take)
        await_condition(lambda: emulator.is_ready(self.port), "the emulator's health")

    def client(self, service: str) -> Any:
        key = KeyFile(self.folder).operator()
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=emulator.endpoint(self.port),
            region_name=emulator.REGION,
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.child.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Emulator]:
    made = Emulator(tmp_path)
    yield made
    made.child.stop()


def killed(own: Emulator) -> None:
    own.child.kill()
    own.start()


def stopped(own: Emulator) -> None:
    own.child.stop()
    own.start()


def killed_after_a_stop(own: Emulator) -> None:
    stopped(own)
    killed(own)


ENDS = pytest.mark.parametrize("end", [killed, stopped, killed_after_a_stop], ids=lambda end: end.__name__)


def make_table(own: Emulator) -> Any:
    dynamodb = own.client("dynamodb")
    dynamodb.create_table(
        TableName="rows",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("of", "id", "status")],
        KeySchema=[{"AttributeName": "of", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-status",
                "KeySchema": [{"AttributeName": "status", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    return dynamodb


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"of": {"S": "x"}, "id": {"S": f"{number:03}"}, **more}


def stream_ids(own: Emulator) -> list[str]:
    streams = own.client("dynamodbstreams")
    [stream] = streams.list_streams(TableName="rows")["Streams"]
    [shard] = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator)["Records"]
    return [f"{record['eventName']} {record['dynamodb']['Keys']['id']['S']}" for record in records]


@ENDS
def test_rows_indexes_and_streams_are_kept(own: Emulator, end: Callable[[Emulator], None]) -> None:
    dynamodb = make_table(own)
    for number in range(3):
        dynamodb.put_item(TableName="rows", Item=row(number, status={"S": "open"}))
    dynamodb.delete_item(TableName="rows", Key=row(0))
    dynamodb.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "rows", "Item": row(3, bytes={"B": b"\x00\xff"}, amount={"N": "1.50"})}},
            {
                "Update": {
                    "TableName": "rows",
                    "Key": row(1),
                    "UpdateExpression": "SET #s = :s",
                    "ExpressionAttributeNames": {"#s": "status"},
                    "ExpressionAttributeValues": {":s": {"S": "done"}},
                }
            },
        ]
    )
    dynamodb.update_time_to_live(
        TableName="rows", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    dynamodb.put_item(TableName="rows", Item=row(4))

    def seen() -> list[Any]:
        by_status = dynamodb.query(
            TableName="rows",
            IndexName="by-status",
            KeyConditionExpression="#s = :s",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":s": {"S": "done"}},
        )
        described = dynamodb.describe_time_to_live(TableName="rows")["TimeToLiveDescription"]
        return [dynamodb.scan(TableName="rows")["Items"], by_status["Items"], stream_ids(own), described]

    before = seen()
    assert [item["id"]["S"] for item in before[0]] == ["001", "002", "003", "004"]
    end(own)
    assert seen() == before
    dynamodb.put_item(TableName="rows", Item=row(5))
    assert stream_ids(own) == [*before[2], "INSERT 005"]


@ENDS
def test_messages_are_kept_with_how_often_they_were_received(own: Emulator, end: Callable[[Emulator], None]) -> None:
    sqs = own.client("sqs")
    url = sqs.create_queue(QueueName="kept")["QueueUrl"]
    for body in ("handled", "received", "waiting"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    for _ in range(2):
        [message] = sqs.receive_message(QueueUrl=url, VisibilityTimeout=600)["Messages"]
        if message["Body"] == "handled":
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    end(own)
    # Its receipt is good for whoever got it before.
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])["Messages"]
    receives = {one["Body"]: one["Attributes"]["ApproximateReceiveCount"] for one in found}
    assert receives == {"received": "2", "waiting": "1"}


@ENDS
def test_objects_versions_and_uploads_in_parts_are_kept(own: Emulator, end: Callable[[Emulator], None]) -> None:
    s3 = own.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    versions = [s3.put_object(Bucket="kept", Key="a/b.txt", Body=body)["VersionId"] for body in (b"one", b"two")]
    s3.put_object(Bucket="kept", Key="gone", Body=b"gone")
    s3.delete_object(Bucket="kept", Key="gone")
    upload = {"Bucket": "kept", "Key": "parts", "UploadId": ""}
    upload["UploadId"] = s3.create_multipart_upload(Bucket="kept", Key="parts")["UploadId"]
    first = s3.upload_part(**upload, PartNumber=1, Body=PART)
    abandoned = s3.create_multipart_upload(Bucket="kept", Key="abandoned")["UploadId"]
    s3.abort_multipart_upload(Bucket="kept", Key="abandoned", UploadId=abandoned)
    end(own)
    for version, body in zip(versions, (b"one", b"two"), strict=True):
        assert s3.get_object(Bucket="kept", Key="a/b.txt", VersionId=version)["Body"].read() == body
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="kept", Key="gone")
    second = s3.upload_part(**upload, PartNumber=2, Body=b"the rest")
    parts = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in enumerate((first, second), 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="kept", Key="parts")["Body"].read() == PART + b"the rest"
    # A further request removes what an ended upload has left.
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="kept")
    assert list((own.folder / "state" / "uploads").iterdir()) == []


def test_line_that_a_kill_has_cut_off_is_as_if_it_had_not_been_written(own: Emulator) -> None:
    dynamodb = make_table(own)
    dynamodb.put_item(TableName="rows", Item=row(1))
    own.child.kill()
    with (own.folder / "state" / "journal.jsonl").open("ab") as journal:
        journal.write(b'[["row","arn:aws:dynamodb:us-east-1:000000000000:table/rows","x","00')
    own.start()
    dynamodb.put_item(TableName="rows", Item=row(2))
    killed(own)
    assert [item["id"]["S"] for item in dynamodb.scan(TableName="rows")["Items"]] == ["001", "002"]


def test_a_table_made_anew_has_none_of_the_rows_of_the_one_before(own: Emulator) -> None:
    dynamodb = make_table(own)
    dynamodb.put_item(TableName="rows", Item=row(1))
    dynamodb.delete_table(TableName="rows")
    make_table(own)
    dynamodb.put_item(TableName="rows", Item=row(2))
    killed(own)
    assert [item["id"]["S"] for item in dynamodb.scan(TableName="rows")["Items"]] == ["002"]


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from Linux's /proc")
def test_bytes_of_objects_do_not_stay_in_memory(own: Emulator) -> None:
    s3 = own.client("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    content = bytes(20 * MEGABYTE)

    def put(number: int) -> None:
        name = {"Bucket": "kept", "Key": str(number)}
        s3.put_object(**name, Body=content)
        s3.copy_object(Bucket="kept", Key=f"copy of {number}", CopySource=name)
        # As who looks at the head of an object and has seen enough.
        answer = s3.get_object(**name)
        answer["Body"].read(4096)
        answer["Body"].close()

    put(0)
    before = own.resident_bytes()
    for number in range(1, 16):
        put(number)
    # The last answer that nobody reads may be under way for a moment.
    await_condition(lambda: own.resident_bytes() - before < 5 * len(content), "less memory than a sixth of the bytes")
