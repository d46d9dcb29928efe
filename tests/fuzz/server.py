"""The whole application behind real HTTP in a process of its own: the local server, AWS in memory, uploads processed.

One request at a time, and what it uploads is processed before the next, so that a run can be repeated. Every limit is
far away and passwords are cheap to check; everything else is as configured by default.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import Any

REGION = "us-east-1"
STACK = "strongroom-fuzz"
TEMP_BUCKET, PERMANENT_BUCKET, QUEUE = f"{STACK}-temp", f"{STACK}-permanent", f"{STACK}-uploads"
#: As in the document's example of a login.
USERNAME, KNOWN_PASSWORD = "admin", "password"
PASSWORD = "a password of the fuzzer"
#: Who uploads, and who logs out, during a run; who sets up a second factor; and somebody else.
UPLOADING_USERNAME, LEAVING_USERNAME, FOREIGN_USERNAME = "uploader", "leaver", "stranger"
#: An owner, of an organisation of its own: what is done to that one disturbs no upload.
MANAGING_USERNAME = "manager"
#: The paths that this one is asked to call.
MANAGED = re.compile(r"/(users|invitations|organization)\b")
CAREFUL_USERNAME = "careful"
FAILED_FILES = 20

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "fuzz",
    "AWS_SECRET_ACCESS_KEY": "fuzz",
    "AWS_EC2_METADATA_DISABLED": "true",
    "STAGE": "fuzz",
    "TABLE_PREFIX": STACK,
    "TEMP_BUCKET": TEMP_BUCKET,
    "PERMANENT_BUCKET": PERMANENT_BUCKET,
    "AUDIT_BUCKET": f"{STACK}-audit",
    "UPLOADS_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/123456789012/{QUEUE}",
    "WEBHOOKS_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/123456789012/{STACK}-webhooks",
    "COOKIE_SECURE": "false",
    "BCRYPT_COST": "4",
    "S3_ADDRESSING_STYLE": "path",
    "LOG_FORMAT": "text",
    "RATE_LIMIT_LOGIN_PER_ADDRESS": "1000000/minute",
    "RATE_LIMIT_LOGIN_PER_USERNAME": "1000000/hour",
    "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "1000000/hour",
    "RATE_LIMIT_LOGIN_PER_DEVICE": "1000000/hour",
    "RATE_LIMIT_PASSWORD": "1000000/hour",
    "RATE_LIMIT_SECOND_FACTOR": "1000000/hour",
    "RATE_LIMIT_TICKETS": "1000000/hour",
    "RATE_LIMIT_HEALTH": "1000000/hour",
    "RATE_LIMIT_UPLOADS": "1000000/minute",
    "RATE_LIMIT_ANONYMOUS": "1000000/minute",
    "RATE_LIMIT_SIGNED_IN": "1000000/minute",
    "RATE_LIMIT_API_KEY": "1000000/minute",
    "RATE_LIMIT_SIGN_UP": "1000000/minute",
    "RATE_LIMIT_INVITATIONS": "1000000/minute",
    "SIGN_UP": "open",
    # A webhook may go there without asking the DNS; what is delivered is nobody's business here.
    "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1",
    "INVITATION_URL": "https://app.example.com/join#token={token}",
}


def build_aws() -> None:
    """Tables, buckets and the queue that hears of uploads."""
    import boto3

    from chalicelib.platform.tables import Tables
    from infra.template.tables import table_models

    tables = Tables(STACK)
    for model in table_models():
        bound = tables.bind(model)
        if not bound.exists():
            bound.create_table(billing_mode="PAY_PER_REQUEST", wait=True)
    s3: Any = boto3.client("s3")
    for bucket in (TEMP_BUCKET, PERMANENT_BUCKET, f"{STACK}-audit"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=PERMANENT_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    sqs: Any = boto3.client("sqs")
    sqs.create_queue(QueueName=f"{STACK}-webhooks")
    queue_url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=TEMP_BUCKET,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": queue_arn, "Events": ["s3:ObjectCreated:*"]}],
        },
    )


def add_users() -> None:
    from chalicelib.accounts import users as accounts
    from chalicelib.kernel.permissions import Role
    from chalicelib.tenants import organizations as tenants
    from chalicelib.wiring import stores

    for organization, usernames in (
        ("Acme", (USERNAME, UPLOADING_USERNAME, LEAVING_USERNAME, CAREFUL_USERNAME)),
        ("Bolt", (FOREIGN_USERNAME,)),
        ("Crew", (MANAGING_USERNAME,)),
    ):
        made = tenants.create_organization(stores(), organization)
        for username in usernames:
            password = KNOWN_PASSWORD if username == USERNAME else PASSWORD
            # The one whose token is sent is the only owner: nothing is refused for want of a permission before it is
            # looked at, and no accepted request takes that away.
            owns = username in (UPLOADING_USERNAME, FOREIGN_USERNAME, MANAGING_USERNAME)
            accounts.create_user(
                stores(),
                made.organization_id,
                username,
                password,
                role=Role.OWNER if owns else Role.MEMBER,
                guessable=username == USERNAME,
            )


def add_failed_files() -> None:
    """Files that can be retried: their bytes are there, their processing was given up."""
    import boto3

    from chalicelib import keys
    from chalicelib.kernel.caller import Caller
    from chalicelib.processing.processing import give_up
    from chalicelib.uploads.form_uploads import upload_form
    from chalicelib.wiring import stores

    user = stores().users.find_by_username(UPLOADING_USERNAME)
    assert user is not None
    caller = Caller(user.organization_id, user.user_id, user.username)
    for number in range(FAILED_FILES):
        file = upload_form(stores(), caller, f"failed {number}.txt", "text/plain", b"failed\n")
        give_up(stores(), keys.temp_key(file.organization_id, file.file_id), worker="fuzz")
    sqs: Any = boto3.client("sqs")
    sqs.purge_queue(QueueUrl=ENVIRONMENT["UPLOADS_QUEUE_URL"])


def send_a_part(started: dict[str, Any]) -> None:
    """What a client would do with a part's URL, which here leads to an AWS that is not there."""
    import boto3

    s3: Any = boto3.client("s3")
    s3.upload_part(Bucket=TEMP_BUCKET, Key=started["key"], UploadId=started["uploadId"], PartNumber=1, Body=b"part\n")


def stand_in_for_the_world() -> None:
    """The client that sends parts to S3, and Lambda that takes from the queue.

    As middleware, because that is where a request is whole and its answer is not sent yet.
    """
    import app
    from infra.local.queue_reader import QueueReader

    consumer = QueueReader(ENVIRONMENT["UPLOADS_QUEUE_URL"], app.process_uploads)
    # AWS in memory was not made for threads.
    one_at_a_time = threading.Lock()

    def around(request: Any, get_response: Any) -> Any:
        with one_at_a_time:
            response = get_response(request)
            if isinstance(response.body, dict) and "uploadId" in response.body:
                send_a_part(response.body)
            while request.method == "POST" and consumer.poll_once(0):
                pass
            return response

    app.app.register_middleware(around, "http")


def main(port: int) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(ENVIRONMENT)
    from moto import mock_aws

    from infra.local.api import make_server
    from tests import faster, moto_gaps

    faster.speed_up_moto()
    moto_gaps.fill_gaps()
    with mock_aws():
        build_aws()
        add_users()
        add_failed_files()
        server = make_server("127.0.0.1", port)
        stand_in_for_the_world()
        server.server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main(int(sys.argv[1]))
