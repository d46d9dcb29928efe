"""What the template promises, read off the files themselves: no stack is needed to see it broken."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app
from chalicelib.accounts.rows import SessionRow, UsernameRow, UserRow
from chalicelib.files.rows import FileRow
from chalicelib.kernel import config
from chalicelib.kernel.metrics import NAMESPACE
from chalicelib.kernel.setting import EVERY_FUNCTION
from chalicelib.processing import announcements as events
from chalicelib.tenants.rows import OrganizationRow
from chalicelib.uploads.direct_uploads import multipart_ttl_seconds
from chalicelib.webhooks import batches, delivering
from infra import functions, gateway
from infra.packaging import ROOT, let_console_upload
from infra.stages import RELEASE_ALARMS
from infra.template import (
    FOLDER,
    KEPT_BY_EVERY_STAGE,
    Template,
    data_plane,
    everything_but_chalice,
    generated,
    load,
    merge,
    with_region_in_bucket_names,
)
from infra.template.tables import table_models

PROD = everything_but_chalice("prod")
RESOURCES: dict[str, Any] = PROD["Resources"]
FUNCTIONS = tuple(function.logical_id for function in functions.FUNCTIONS)
#: What Lambda takes of a request (AWS limit).
LAMBDA_REQUEST_BYTES = 6_291_456


def of_type(kind: str) -> dict[str, Any]:
    return {name: resource for name, resource in RESOURCES.items() if resource.get("Type") == kind}


def walk(node: Any) -> Iterator[Any]:
    yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from walk(child)


# ---- Data outlives mistakes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["AWS::DynamoDB::Table", "AWS::S3::Bucket"])
def test_data_of_production_outlives_the_stack(kind: str) -> None:
    assert len(of_type(kind)) >= 2
    for name, resource in of_type(kind).items():
        # Retained unless its own creation fails, so that a failed first deployment can be tried again.
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert resource["UpdateReplacePolicy"] == "Retain", name


def test_other_stages_leave_nothing_behind() -> None:
    for name, resource in everything_but_chalice("staging")["Resources"].items():
        if name in KEPT_BY_EVERY_STAGE:
            continue
        assert resource.get("DeletionPolicy", "Delete") == "Delete", name
        assert resource.get("UpdateReplacePolicy", "Delete") == "Delete", name


@pytest.mark.parametrize("name", sorted(of_type("AWS::DynamoDB::Table")))
def test_table_is_on_demand_encrypted_and_recoverable(name: str) -> None:
    properties = RESOURCES[name]["Properties"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    condition, with_key, without = properties["SSESpecification"]["Fn::If"]
    assert (condition, without) == ("HasTableKey", NO_VALUE), "by default a key that DynamoDB owns, and nobody pays for"
    assert with_key == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "TableKeyArn"}}


def test_sessions_expire_by_themselves() -> None:
    expiry = RESOURCES["SessionsTable"]["Properties"]["TimeToLiveSpecification"]
    assert expiry == {"AttributeName": "expires_at", "Enabled": True}


def test_ended_keys_vanish_by_themselves() -> None:
    expiry = RESOURCES["ApiKeysTable"]["Properties"]["TimeToLiveSpecification"]
    assert expiry == {"AttributeName": "vanishes_at", "Enabled": True}


@pytest.mark.parametrize("name", ["TempBucket", "PermanentBucket", "AuditBucket"])
def test_bucket_is_private_and_encrypted(name: str) -> None:
    properties = RESOURCES[name]["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    statements = RESOURCES[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"]
    [statement] = [statement for statement in statements if statement["Sid"] == "OnlyTls"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_region_is_put_into_every_mention_of_a_bucket() -> None:
    named = json.dumps(with_region_in_bucket_names(PROD))
    mentions = re.findall(r"StackName\}-(?:temp|permanent|audit)-[^\"/]*", named)
    assert len(mentions) > 30
    assert {mention.partition("-${AWS::AccountId}")[2] for mention in mentions} == {"-${AWS::Region}"}
    assert "-${AWS::AccountId}" not in named.replace("-${AWS::AccountId}-${AWS::Region}", "")


def test_lifecycle_of_both_buckets() -> None:
    temp, permanent = (
        {rule["Id"]: rule for rule in RESOURCES[name]["Properties"]["LifecycleConfiguration"]["Rules"]}
        for name in ("TempBucket", "PermanentBucket")
    )
    assert set(temp) == {"expire-leftovers", "abort-abandoned-multipart-uploads"}
    assert permanent["forget-old-versions"]["NoncurrentVersionExpiration"] == {
        "NoncurrentDays": {"Ref": "OldVersionDays"}
    }
    assert not any("ExpirationInDays" in rule for rule in permanent.values()), "kept files must never expire"
    assert RESOURCES["PermanentBucket"]["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


SECONDS_OF_A_DAY = 86_400


#: What MultipartDays may be.
MULTIPART_DAYS = range(1, PROD["Parameters"]["MultipartDays"]["MaxValue"] + 1)


def days_of(bucket: str, action: str, days: str, multipart_days: int = 1) -> int:
    """Of the bucket's one rule with this action, by the template's defaults."""
    rules = RESOURCES[bucket]["Properties"]["LifecycleConfiguration"]["Rules"]
    [found] = [rule[action] for rule in rules if action in rule]
    value = found[days] if days else found
    if isinstance(value, dict) and "Fn::FindInMap" in value:
        name, by, column = value["Fn::FindInMap"]
        assert by == {"Ref": "MultipartDays"}
        value = PROD["Mappings"][name][str(multipart_days)][column]
    return int(PROD["Parameters"][value["Ref"]]["Default"] if isinstance(value, dict) else value)


@pytest.mark.parametrize("multipart_days", MULTIPART_DAYS)
def test_bytes_outlive_the_messages_that_announce_them(multipart_days: int) -> None:
    """Simulated: SQS forgets a message by its age, S3 an object by the time since its upload was started."""
    expire_seconds = days_of("TempBucket", "ExpirationInDays", "", multipart_days) * SECONDS_OF_A_DAY
    dead_seconds = RESOURCES["DeadLetterQueue"]["Properties"]["MessageRetentionPeriod"]
    waiting_seconds = RESOURCES["UploadsQueue"]["Properties"]["MessageRetentionPeriod"]
    arrives_seconds = multipart_ttl_seconds(multipart_days)
    assert expire_seconds >= arrives_seconds + dead_seconds + waiting_seconds, "redriven on the last day"


@pytest.mark.parametrize("multipart_days", MULTIPART_DAYS)
def test_parts_of_an_accepted_completion_outlive_a_long_weekend(multipart_days: int) -> None:
    days = days_of("TempBucket", "AbortIncompleteMultipartUpload", "DaysAfterInitiation", multipart_days)
    assert days * SECONDS_OF_A_DAY >= multipart_ttl_seconds(multipart_days) + 4 * SECONDS_OF_A_DAY


#: DynamoDB's recovery window (AWS limit).
RECOVERY_DAYS = 35


def test_every_row_that_can_be_restored_has_its_bytes() -> None:
    assert days_of("PermanentBucket", "NoncurrentVersionExpiration", "NoncurrentDays") > RECOVERY_DAYS
    assert PROD["Parameters"]["OldVersionDays"]["MinValue"] > RECOVERY_DAYS


def test_largest_form_fits_into_an_event_of_lambda() -> None:
    """Simulated: the event that API Gateway makes of a form, with as many bytes of headers as it takes (10,240)."""
    form = config.MAX_UPLOAD_BYTES_ON_AWS + 2 * 255 * 4 + 1024
    headers = {"cookie": "x" * 10_240}
    event = {
        "resource": "/files",
        "path": "/files",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}, "path": "/api/files", "padding": "x" * 4096},
        "body": base64.b64encode(bytes(form)).decode(),
        "isBase64Encoded": True,
    }
    assert len(json.dumps(event)) < LAMBDA_REQUEST_BYTES


def test_gateway_names_the_size_that_a_form_may_have() -> None:
    body = json.loads(gateway.gateway_responses()["REQUEST_TOO_LARGE"]["responseTemplates"]["application/json"])
    assert str(PROD["Parameters"]["MaxUploadBytes"]["MaxValue"]) in body["error"]


def test_audit_bucket_can_lock_and_keeps_all_but_exports() -> None:
    properties = RESOURCES["AuditBucket"]["Properties"]
    assert properties["ObjectLockEnabled"] is True
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    # A default lock would hold exports as long as what is sealed.
    assert "ObjectLockConfiguration" not in properties
    [rule] = properties["LifecycleConfiguration"]["Rules"]
    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("exports/", 1)


def test_nobody_deletes_what_is_sealed_nor_shortens_its_lock() -> None:
    for name in (function.role for function in functions.FUNCTIONS):
        [policy] = RESOURCES[name]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]:
            if "-audit-${AWS::AccountId}" in json.dumps(statement):
                assert not any(word in json.dumps(statement["Action"]) for word in ("Delete", "Bypass", "*"))
                assert name == "AuditRole" or statement["Resource"]["Fn::Sub"].endswith("/exports/*")


def test_sealed_file_is_written_once_by_anybody() -> None:
    [statement] = [
        statement
        for statement in RESOURCES["AuditBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        if statement["Sid"] == "SealedOnce"
    ]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:PutObject")
    assert statement["Resource"]["Fn::Sub"].endswith(":s3:::${AuditBucket}/sealed/*")
    assert statement["Condition"] == {"Null": {"s3:if-none-match": "true"}}


def test_pages_of_allowed_origins_can_read_the_etag_of_a_part() -> None:
    condition, cors, none = RESOURCES["TempBucket"]["Properties"]["CorsConfiguration"]["Fn::If"]
    [rule] = cors["CorsRules"]
    assert condition == "HasCors"
    assert none == {"Ref": "AWS::NoValue"}
    assert rule["AllowedOrigins"] == {"Ref": "CorsOrigins"}
    assert "ETag" in rule["ExposedHeaders"]
    assert {"PUT", "POST"} <= set(rule["AllowedMethods"])


def test_console_may_send_bytes_from_the_addresses_of_the_api() -> None:
    bucket = copy.deepcopy(RESOURCES["TempBucket"]["Properties"])
    let_console_upload(bucket)
    own, of_others = bucket["CorsConfiguration"]["CorsRules"]
    gateway_address, domain = own["AllowedOrigins"]
    assert gateway_address["Fn::Sub"].startswith("https://${RestAPI}.execute-api.")
    assert domain["Fn::If"][:2] == ["HasDomain", {"Fn::Sub": "https://${DomainName}"}]
    assert "PUT" in own["AllowedMethods"]
    assert of_others["Fn::If"][0] == "HasCors"


# ---- Queue and trigger -----------------------------------------------------------------------------------------------


def test_queue_waits_six_times_as_long_as_a_function_may_run() -> None:
    timeout_seconds = RESOURCES["ProcessUploads"]["Properties"]["Timeout"]
    assert timeout_seconds == functions.PROCESS.timeout_seconds
    assert RESOURCES["UploadsQueue"]["Properties"]["VisibilityTimeout"] >= 6 * timeout_seconds
    assert config.load(REQUIRED).processing_lease_seconds > timeout_seconds


def test_webhooks_queue_waits_six_times_as_long_and_a_lease_outlives_the_function() -> None:
    timeout_seconds = RESOURCES["DeliverWebhooks"]["Properties"]["Timeout"]
    assert timeout_seconds == functions.DELIVER.timeout_seconds
    assert RESOURCES["WebhooksQueue"]["Properties"]["VisibilityTimeout"] >= 6 * timeout_seconds
    assert timeout_seconds < delivering.LEASE_SECONDS
    trigger = RESOURCES["DeliverWebhooks"]["Properties"]["Events"]["DeliverWebhooksSqsEventSource"]["Properties"]
    assert trigger["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert trigger["ScalingConfig"]["MaximumConcurrency"]


def test_each_message_of_a_batch_has_a_thread_of_its_own() -> None:
    sources: list[Any] = [source for source in app.app.event_sources if source.name == "deliver_webhooks"]
    assert [source.batch_size for source in sources] == [batches.BATCH]


def test_what_posts_to_customers_reads_nothing_of_theirs_but_events() -> None:
    reached = {
        node["Fn::GetAtt"][0]
        for node in walk(RESOURCES["DeliverRole"])
        if isinstance(node, dict) and "Fn::GetAtt" in node
    }
    assert reached == {"EventsTable", "WebhooksTable", "WebhookDeliveriesTable", "EventOutboxTable", "WebhooksQueue"}


def test_network_passes_what_the_api_may_do_with_buckets() -> None:
    [policy] = RESOURCES["ApiRole"]["Properties"]["Policies"]
    [passed] = RESOURCES["S3Endpoint"]["Properties"]["PolicyDocument"]["Statement"]
    allowed = [s for s in policy["PolicyDocument"]["Statement"] if "s3:" in json.dumps(s.get("Action", ""))]
    wanted = [r for s in allowed for r in (s["Resource"] if isinstance(s["Resource"], list) else [s["Resource"]])]
    assert wanted
    assert [resource for resource in wanted if resource not in passed["Resource"]] == []


def test_queue_gives_up_when_processing_says_so() -> None:
    redrive = RESOURCES["UploadsQueue"]["Properties"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == events.MAX_RECEIVES
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}


def test_only_our_bucket_may_send_to_the_queue() -> None:
    allow, deny = RESOURCES["UploadsQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert allow["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allow["Action"] == "sqs:SendMessage"
    assert "${AWS::StackName}-temp-" in allow["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert allow["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert deny["Fn::If"][1]["Effect"] == "Deny"


def test_one_failed_message_does_not_repeat_the_others() -> None:
    trigger = RESOURCES["ProcessUploads"]["Properties"]["Events"]["ProcessUploadsSqsEventSource"]["Properties"]
    assert trigger["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert trigger["ScalingConfig"]["MaximumConcurrency"]


# ---- Least privilege -------------------------------------------------------------------------------------------------


NO_VALUE = {"Ref": "AWS::NoValue"}


def statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name in ("ApiRole", "ProcessRole", "SweepRole"):
        [policy] = RESOURCES[name]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]:
            branches = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
            found += [(name, branch) for branch in branches if branch != NO_VALUE]
    return found


def test_process_function_reads_permanent_objects_on_an_endpoint_without_tls_only() -> None:
    """It parses what strangers send, so on AWS it can read nothing but the upload itself."""
    [policy] = RESOURCES["ProcessRole"]["Properties"]["Policies"]
    readers = [
        statement
        for statement in policy["PolicyDocument"]["Statement"]
        if "s3:GetObject" in json.dumps(statement) and "-permanent-" in json.dumps(statement)
    ]
    [[condition, with_tls, _]] = [reader["Fn::If"] for reader in readers]
    assert (condition, with_tls) == ("TlsIsRequired", NO_VALUE)


def test_no_role_has_a_wildcard_but_for_the_network() -> None:
    for role, statement in statements():
        label = f"{role} {statement['Sid']}"
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if statement["Effect"] == "Deny":
            continue
        assert not any("*" in action for action in actions), label
        if statement["Resource"] == "*":
            # Lambda's own calls to attach a function to a VPC know no resource beforehand, and traces have none.
            assert all(action.startswith(("ec2:", "xray:Put")) for action in actions), label


def test_wildcard_of_the_network_is_closed_to_the_code() -> None:
    [denied] = [statement for _, statement in statements() if statement["Effect"] == "Deny"]
    assert denied["Action"] == "ec2:*"
    assert "function:${AWS::StackName}-api" in denied["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]["Fn::Sub"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_has_a_role_of_its_own(function: str) -> None:
    roles = [RESOURCES[name]["Properties"]["Role"]["Fn::GetAtt"][0] for name in FUNCTIONS]
    assert len(set(roles)) == len(FUNCTIONS)
    for node in walk(RESOURCES[function]["Properties"]["Environment"]):
        # A Ref to a bucket closes the circle bucket -> queue -> function -> bucket.
        assert node not in ({"Ref": "TempBucket"}, {"Ref": "PermanentBucket"})


# ---- What the application expects ------------------------------------------------------------------------------------

REQUIRED = {
    "TABLE_PREFIX": "strongroom-prod",
    "TEMP_BUCKET": "strongroom-prod-temp-000000000000",
    "PERMANENT_BUCKET": "strongroom-prod-permanent-000000000000",
    "AUDIT_BUCKET": "strongroom-prod-audit-000000000000",
    "UPLOADS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/strongroom-prod-uploads",
    "WEBHOOKS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/strongroom-prod-webhooks",
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_environment_holds_what_config_reads_and_nothing_else(function: str) -> None:
    variables = RESOURCES[function]["Properties"]["Environment"]["Variables"]
    assert set(variables) <= set(config.described())
    # Processing and sweep read it: a function without it would apply the default to a stack that allows more or less.
    assert variables["MAX_DIRECT_UPLOAD_BYTES"] == {"Ref": "MaxDirectUploadBytes"}
    assert variables["LOG_LEVEL"] == {"Ref": "LogLevel"}
    assert set(REQUIRED) <= set(variables)


def test_parameter_of_a_setting_reaches_the_functions_that_the_setting_names() -> None:
    names = {function.name for function in functions.FUNCTIONS}
    for variable, setting in config.described().items():
        if setting.parameter is None:
            continue
        wanted = names if setting.parameter.functions == EVERY_FUNCTION else set(setting.parameter.functions)
        assert wanted, variable
        assert wanted <= names, variable
        for function in functions.FUNCTIONS:
            variables = RESOURCES[function.logical_id]["Properties"]["Environment"]["Variables"]
            expected = {"Ref": generated.camel_case(variable)} if function.name in wanted else None
            assert variables.get(variable) == expected, (variable, function.name)


#: Settings that no operator chooses on AWS, and why.
FIXED = {
    "PROCESSING_LEASE_SECONDS": "has to outlive the function, whose time the template fixes",
    "DOWNLOAD_PINS_VERSION": "for emulators that ignore ranges of a version",
    "PART_CHECKSUMS": "for emulators without the CRC64NVME of a whole",
    "PROCESSING_STEP_SECONDS": "fits the time and the lease of the function",
    "S3_ADDRESSING_STYLE": "for endpoints without a host name per bucket",
}


def test_every_setting_is_a_parameter_or_the_stacks_own_or_fixed_for_a_reason() -> None:
    own = {variable for variables in load(FOLDER / "environment.yaml").values() for variable in variables}
    by_parameter = {name for name, setting in config.described().items() if setting.parameter is not None}
    assert set(config.described()) == own | by_parameter | set(FIXED)
    assert not by_parameter & (own | set(FIXED))


def test_presigned_addresses_are_not_promised_for_longer_than_a_role_lives() -> None:
    for name in ("UploadUrlTtlSeconds", "DownloadUrlTtlSeconds"):
        assert PROD["Parameters"][name]["MaxValue"] <= 6 * 3600


def test_parameters_of_deployed_stacks_keep_names_types_and_defaults() -> None:
    """A deployed stack keeps a parameter's value by its name; a renamed one would fall back to its default."""
    rates = {
        "RateLimitLoginPerAddress": "5/minute",
        "RateLimitLoginPerUsername": "100/hour",
        "RateLimitLoginPerUsernameAndAddress": "10/hour",
        "RateLimitLoginPerDevice": "10/hour",
        "RateLimitPassword": "5/minute;20/hour",
        "RateLimitTickets": "60/hour",
        "RateLimitHealth": "120/minute",
        "RateLimitUploads": "10/minute",
        "RateLimitAnonymous": "200/day;50/hour",
        "RateLimitSignedIn": "1200/minute",
    }
    expected: dict[str, dict[str, Any]] = {name: {"Type": "String", "Default": rate} for name, rate in rates.items()}
    expected |= {
        "MaxUploadBytes": {"Type": "Number", "Default": 4500000, "MinValue": 1, "MaxValue": 4500000},
        "MaxDirectUploadBytes": {
            "Type": "String",
            "Default": "5497558138880",
            "AllowedPattern": "[1-9][0-9]{0,13}",
        },
        "DefaultQuotaBytes": {"Type": "String", "Default": "", "AllowedPattern": "[0-9]*"},
        "DefaultQuotaFiles": {"Type": "String", "Default": "", "AllowedPattern": "[0-9]*"},
        "S3PublicEndpointUrl": {"Type": "String", "Default": ""},
        "LogLevel": {"Type": "String", "Default": "INFO", "AllowedValues": ["DEBUG", "INFO", "WARNING", "ERROR"]},
    }
    for name, wanted in expected.items():
        assert {key: value for key, value in PROD["Parameters"][name].items() if key != "Description"} == wanted


def test_variables_of_a_function_that_does_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match=r"infra/functions\.py has no function proces$"):
        generated.fragment({"all": {}, "proces": {"STAGE": "x"}})


def test_defaults_of_the_parameters_are_valid_settings() -> None:
    environment = dict(REQUIRED)
    for name, value in RESOURCES["APIHandler"]["Properties"]["Environment"]["Variables"].items():
        if isinstance(value, str):
            environment[name] = value
        elif set(value) == {"Ref"} and value["Ref"] in PROD["Parameters"]:
            environment[name] = str(PROD["Parameters"][value["Ref"]].get("Default", ""))
    settings = config.load(environment)
    assert settings.cookie_secure
    assert settings.max_upload_bytes <= config.MAX_UPLOAD_BYTES_ON_AWS
    assert settings.stage == "prod"


def key_schema(described: Any) -> dict[str, str]:
    return {key["KeyType"]: key["AttributeName"] for key in described["KeySchema"]}


def test_every_model_has_its_table_with_its_indexes() -> None:
    tables = {
        resource["Properties"]["TableName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"): resource["Properties"]
        for resource in of_type("AWS::DynamoDB::Table").values()
    }
    assert set(tables) == {model.Meta.table_name for model in map(cast_to_any, table_models())}
    for model in (OrganizationRow, UserRow, UsernameRow, SessionRow, FileRow):
        assert key_schema(tables[model.Meta.table_name])["HASH"] == model._hash_keyname
    files = tables["files"]
    assert [key["KeyType"] for key in files["KeySchema"]] == ["HASH", "RANGE"]
    assert {index["IndexName"]: key_schema(index) for index in files["GlobalSecondaryIndexes"]} == {
        "by_status": {"HASH": "status_key", "RANGE": "file_id"},
        "by_mime_type": {"HASH": "mime_key", "RANGE": "file_id"},
        "unfinished": {"HASH": "unfinished_shard", "RANGE": "touched_at"},
    }
    assert tables["sessions"]["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def cast_to_any(model: Any) -> Any:
    """PynamoDB's stubs know no Meta."""
    return model


# ---- Gateway ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(gateway.gateway_responses()))
def test_gateway_error_has_the_shape_of_every_error(kind: str) -> None:
    answer = gateway.gateway_responses()[kind]
    body = json.loads(answer["responseTemplates"]["application/json"])
    assert set(body) == {"error", "message", "code", "request_id"}
    assert body["error"] == body["message"]
    assert body["request_id"] == "$context.requestId"
    headers = {name: value for name, value in answer["responseParameters"].items() if isinstance(value, str)}
    assert headers["gatewayresponse.header.Cache-Control"] == "'no-store'"
    assert headers["gatewayresponse.header.X-Content-Type-Options"] == "'nosniff'"
    assert headers["gatewayresponse.header.Strict-Transport-Security"].startswith("'max-age=")
    assert all(value.count("'") == 2 for value in headers.values()), "API Gateway knows no escape for quotes"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("MISSING_AUTHENTICATION_TOKEN", "404"),
        ("REQUEST_TOO_LARGE", "413"),
        ("UNSUPPORTED_MEDIA_TYPE", "415"),
        ("THROTTLED", "429"),
        ("BAD_REQUEST_BODY", "400"),
    ],
)
def test_gateway_error_has_the_right_status(kind: str, status: str) -> None:
    assert gateway.gateway_responses()[kind]["statusCode"] == status


def test_throttled_answer_says_when_to_come_back() -> None:
    headers = gateway.gateway_responses()["THROTTLED"]["responseParameters"]
    assert headers["gatewayresponse.header.Retry-After"] == "'1'"


@pytest.mark.parametrize("kind", sorted(gateway.gateway_responses()))
def test_gateway_error_can_be_read_by_pages_of_the_first_origin(kind: str) -> None:
    headers = gateway.gateway_responses()[kind]["responseParameters"]
    condition, value, otherwise = headers["gatewayresponse.header.Access-Control-Allow-Origin"]["Fn::If"]
    assert (condition, otherwise) == ("HasCors", {"Ref": "AWS::NoValue"})
    assert value["Fn::Sub"][1] == {"Origin": {"Fn::Select": [0, {"Ref": "CorsOrigins"}]}}
    assert headers["gatewayresponse.header.Access-Control-Allow-Credentials"]["Fn::If"][1] == "'true'"


def test_access_log_has_no_path_and_no_query() -> None:
    log_format = RESOURCES["RestAPI"]["Properties"]["AccessLogSetting"]["Format"]
    assert json.loads(log_format)["route"] == "$context.resourcePath"
    for secret in ("$context.path", "queryString", "querystring", "authorizer", "userAgent", "header"):
        assert secret not in log_format
    [settings] = RESOURCES["RestAPI"]["Properties"]["MethodSettings"]
    assert settings["LoggingLevel"] == "OFF"
    assert not settings["DataTraceEnabled"]
    assert settings["ThrottlingRateLimit"]
    assert settings["ThrottlingBurstLimit"]


# ---- Watching --------------------------------------------------------------------------------------------------------


ALARMED_BY_SILENCE = {"SealLagAlarm", "SweepStoppedAlarm"}


def test_every_alarm_reaches_somebody_and_stays_quiet_without_data() -> None:
    alarms = of_type("AWS::CloudWatch::Alarm")
    metrics = {alarm["Properties"].get("MetricName") for alarm in alarms.values()}
    assert {"ApproximateAgeOfOldestMessage", "5XXError", "Throttles", "Errors"} <= metrics
    for name, alarm in alarms.items():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        # That which tells of its work is in alarm when it says nothing.
        wanted = "breaching" if name in ALARMED_BY_SILENCE else "notBreaching"
        assert alarm["Properties"]["TreatMissingData"] == wanted, name


def test_alarms_of_our_own_metrics_name_what_is_sent() -> None:
    """A name that nobody sends would stay quiet for ever."""
    sent = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "chalicelib").rglob("*.py"))
    own = [
        alarm["Properties"]
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Properties"].get("Namespace") == NAMESPACE
    ]
    assert {"SealLag", "FeedsNotKeptUp", "CompletedToDelivered", "SweepRan"} < {alarm["MetricName"] for alarm in own}
    for alarm in own:
        assert f'"{alarm["MetricName"]}"' in sent
        assert alarm["Dimensions"] == [{"Name": "Stage", "Value": {"Ref": "Stage"}}]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_errors_of_each_function_have_an_alarm(function: str) -> None:
    watched = [
        alarm["Properties"]["Dimensions"]
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if (alarm["Properties"].get("Namespace"), alarm["Properties"].get("MetricName")) == ("AWS/Lambda", "Errors")
    ]
    assert [{"Name": "FunctionName", "Value": {"Ref": function}}] in watched


def test_alarms_that_are_watched_in_a_deployment_exist() -> None:
    assert set(RELEASE_ALARMS) <= set(of_type("AWS::CloudWatch::Alarm"))


def test_throttled_writes_of_each_index_of_files_have_an_alarm() -> None:
    """They count at the index and not at its table."""
    watched = {
        dimension["Value"]
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        for dimension in alarm["Properties"].get("Dimensions", [])
        if dimension["Name"] == "GlobalSecondaryIndexName"
    }
    indexes = RESOURCES["FilesTable"]["Properties"]["GlobalSecondaryIndexes"]
    assert watched == {index["IndexName"] for index in indexes}


def test_traces_are_a_parameter_that_reaches_gateway_functions_and_roles() -> None:
    assert PROD["Parameters"]["Tracing"]["Default"] == "false", "they are billed"
    assert PROD["Conditions"]["IsTraced"] == {"Fn::Equals": [{"Ref": "Tracing"}, "true"]}
    assert RESOURCES["RestAPI"]["Properties"]["TracingEnabled"] == {"Fn::If": ["IsTraced", True, False]}
    for function in functions.FUNCTIONS:
        properties = RESOURCES[function.logical_id]["Properties"]
        assert properties["Tracing"] == {"Fn::If": ["IsTraced", "Active", "PassThrough"]}
        [policy] = RESOURCES[function.role]["Properties"]["Policies"]
        [traces] = [one["Fn::If"] for one in policy["PolicyDocument"]["Statement"] if "xray" in json.dumps(one)]
        assert (traces[0], traces[2]) == ("IsTraced", NO_VALUE)


def test_every_log_is_kept_for_a_stated_time() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    names = {group["Properties"]["LogGroupName"]["Fn::Sub"] for group in groups.values()}
    assert {f"/aws/lambda/${{AWS::StackName}}-{function.name}" for function in functions.FUNCTIONS} < names
    assert len(groups) == len(FUNCTIONS) + 1, "one for each function, and the gateway's"
    assert {str(group["Properties"]["RetentionInDays"]) for group in groups.values()} == {"{'Ref': 'LogRetentionDays'}"}


def test_dashboard_is_valid_json() -> None:
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    assert len(json.loads(re.sub(r"\$\{[^}]+\}", "x", text))["widgets"]) == 17


def test_dashboard_shows_how_late_events_are() -> None:
    text = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown = [
        metric
        for widget in json.loads(re.sub(r"\$\{[^}]+\}", "x", text))["widgets"]
        for metric in widget["properties"]["metrics"]
    ]
    for name in ("ChangeToReadable", "CompletedToDelivered"):
        place = shown.index([NAMESPACE, name, "Stage", "x", {"stat": "p50"}])
        assert shown[place + 1] == ["...", {"stat": "p95"}], name
        assert any(f'"{name}"' in path.read_text() for path in (ROOT / "chalicelib").rglob("*.py")), name


# ---- docs/operations.md says the same --------------------------------------------------------------------------------

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(PROD["Parameters"]))
def test_parameter_is_in_the_table_of_the_operations_page(name: str) -> None:
    [row] = [line for line in OPERATIONS.splitlines() if line.startswith("|") and f"`{name}`" in line.split("|")[1]]
    default = str(PROD["Parameters"][name].get("Default", ""))
    if default and name not in (
        "Stage",
        "DefaultQuotaBytes",
        "DefaultQuotaFiles",
    ):
        assert default in row.replace("empty", "").replace("`", "")


@pytest.mark.parametrize("name", sorted(of_type("AWS::CloudWatch::Alarm")))
def test_alarm_is_explained_on_the_operations_page(name: str) -> None:
    rows = [row.strip("|").split("|") for row in OPERATIONS.splitlines() if row.startswith("|")]
    [row] = [row for row in rows if name.removesuffix("Alarm") in row[0].strip().split(", ")]
    assert len(row) == 3
    assert all(cell.strip() for cell in row), row


def test_idle_deployment_costs_what_the_page_says_and_less_than_five_dollars() -> None:
    """By list prices of us-east-1."""
    alarms = len(of_type("AWS::CloudWatch::Alarm"))
    polls = 2 * 5 * 3 * 43_800 * 0.40 / 1e6
    month = alarms * 0.10 + 3 * 0.30 + polls + 0.19
    assert f"{alarms} alarms " in OPERATIONS
    assert f" = ${alarms * 0.10:.2f}; three metrics" in OPERATIONS
    assert f"**${month:.2f}** in all" in OPERATIONS
    assert month < 5
    assert PROD["Parameters"]["RateCounters"]["Default"] == "table"
    assert PROD["Conditions"]["CreateCache"]["Fn::And"][1] == {"Fn::Equals": [{"Ref": "RateCounters"}, "elasticache"]}
    [settings] = RESOURCES["RestAPI"]["Properties"]["MethodSettings"]
    assert settings["MetricsEnabled"] is False, "billed by method"


def test_what_alarms_and_errors_point_to_is_a_heading() -> None:
    headings = {line.lstrip("# ") for line in OPERATIONS.splitlines() if line.startswith("#")}
    assert {"Redrive", "Hot counters", "When a rollback fails"} <= headings


# ---- The files as such -----------------------------------------------------------------------------------------------


def test_data_plane_stands_alone() -> None:
    """The laptop creates it without the functions, so nothing in it may refer to them."""
    template = data_plane("local")
    names = set(template["Resources"]) | set(template["Parameters"])
    for node in walk(template):
        if isinstance(node, dict) and set(node) == {"Ref"}:
            assert node["Ref"] in names or node["Ref"].startswith("AWS::"), node
        if isinstance(node, dict) and set(node) == {"Fn::GetAtt"}:
            assert node["Fn::GetAtt"][0] in names, node


def test_no_two_files_say_the_same_thing() -> None:
    """Merging takes the later file's word; two words would hide one."""
    seen: set[tuple[str, str]] = set()
    for path in sorted(FOLDER.glob("*.yaml")):
        for section, entries in load(path).items():
            if isinstance(entries, dict):
                both = {(section, name) for name in entries}
                assert not seen & both, path.name
                seen |= both
    parameters = {("Parameters", name) for name in generated.parameters()}
    groups = {("Resources", function.logs) for function in functions.FUNCTIONS}
    assert not seen & (parameters | groups), "what is generated"


def test_short_forms_are_written_out(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text('a: !Ref x\nb: !GetAtt x.Arn\nc: !Sub "${x}"\nd: !If [c, !Ref y, {k: !Condition z}]\n')
    assert load(path) == {
        "a": {"Ref": "x"},
        "b": {"Fn::GetAtt": ["x", "Arn"]},
        "c": {"Fn::Sub": "${x}"},
        "d": {"Fn::If": ["c", {"Ref": "y"}, {"k": {"Condition": "z"}}]},
    }


def test_merge_goes_to_every_depth_and_leaves_its_arguments() -> None:
    base: Template = {"a": {"b": 1, "c": [1]}, "d": 1}
    assert merge(base, {"a": {"c": [2], "e": 3}}) == {"a": {"b": 1, "c": [2], "e": 3}, "d": 1}
    assert base == {"a": {"b": 1, "c": [1]}, "d": 1}


# ---- Account ---------------------------------------------------------------------------------------------------------


def test_a_first_creation_can_be_undone_and_tried_again() -> None:
    """A protected table can't be deleted by the rollback; protection comes after the creation."""
    for name, table in of_type("AWS::DynamoDB::Table").items():
        assert "DeletionProtectionEnabled" not in table["Properties"], name


@pytest.mark.parametrize("stage", ["prod", "staging"])
def test_log_role_of_the_whole_account_is_never_deleted(stage: str) -> None:
    resources = everything_but_chalice(stage)["Resources"]
    for name in ("GatewayLogRole", "GatewayAccount"):
        assert resources[name]["DeletionPolicy"] == resources[name]["UpdateReplacePolicy"] == "Retain"


def test_domain_without_a_certificate_is_refused_before_anything_is_made() -> None:
    rule = PROD["Rules"]["DomainHasCertificate"]
    [assertion] = rule["Assertions"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]}
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CertificateArn"}, ""]}]}


# ---- The edge --------------------------------------------------------------------------------------------------------


def test_default_endpoint_is_closed_only_where_a_domain_leads_in() -> None:
    rule = PROD["Rules"]["OneWayIn"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "DefaultEndpoint"}, "false"]}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "DomainName"}, ""]}]}
    told = gateway.definition_extras()["x-amazon-apigateway-endpoint-configuration"]
    assert told == {"disableExecuteApiEndpoint": {"Fn::If": ["HasNoDefaultEndpoint", True, False]}}


def test_firewall_refuses_floods_and_no_upload() -> None:
    firewall = RESOURCES["Firewall"]
    assert firewall["Condition"] == RESOURCES["FirewallBeforeApi"]["Condition"] == "HasFirewall"
    assert firewall["Properties"]["DefaultAction"] == {"Allow": {}}
    rate, reputation = firewall["Properties"]["Rules"]
    assert rate["Statement"]["RateBasedStatement"] == {"AggregateKeyType": "IP", "Limit": {"Ref": "FirewallRateLimit"}}
    # The core rule set refuses bodies above 8 kB.
    assert reputation["Statement"]["ManagedRuleGroupStatement"]["Name"] == "AWSManagedRulesAmazonIpReputationList"


def test_budget_needs_somebody_to_tell() -> None:
    assert RESOURCES["Budget"]["Condition"] == "HasBudget"
    assert {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmEmail"}, ""]}]} in PROD["Conditions"]["HasBudget"]["Fn::And"]
