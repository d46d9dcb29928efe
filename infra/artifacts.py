"""The bucket of an account and region with packages and templates. Outside of every stack: CloudFormation takes the old
package from it when it has to roll back.

Knows S3; must not know stacks.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from chalicelib.platform.aws import error_code
from infra import APPLICATION
from infra.deployment import INLINE_TEMPLATE_BYTES, DeploymentError, Report
from infra.packaging import Package
from infra.template import Template, dumps


def s3_client(session: Any) -> Any:
    return session.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))


def artifacts_bucket(account: str, region: str) -> str:
    return f"{APPLICATION}-artifacts-{account}-{region}"


def ensure_artifacts_bucket(s3: Any, account: str, region: str) -> str:
    """The bucket of this account and region that holds packages and templates; made when missing, never emptied.

    CloudFormation takes the old package from it when it has to roll back.
    """
    bucket = artifacts_bucket(account, region)
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error_code(error) not in ("404", "NoSuchBucket", "NotFound"):
            raise DeploymentError(f"The bucket {bucket} cannot be used: {error}") from error
        # us-east-1 is the one region that must not be named.
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **place)
    # Said again each time: a deployment that died between these calls would leave the bucket half made.
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    return bucket


def upload_code(s3: Any, bucket: str, made: Package, report: Report) -> str:
    """Named by contents: unchanged code is no change of the stack, and is not sent again."""
    key = f"code/{made.digest}-{sys.implementation.cache_tag}.zip"
    try:
        s3.head_object(Bucket=bucket, Key=key)
        report("Package: already uploaded.")
    except ClientError as error:
        if error_code(error) not in ("404", "NoSuchKey", "NotFound"):
            raise
        s3.upload_file(str(made.zip_path), bucket, key)
        report("Package: uploaded.")
    return key


def template_key(template: Template) -> str:
    """Of a template in the bucket, by its text as it is sent."""
    return f"templates/{hashlib.sha256(dumps(template).encode()).hexdigest()}.json"


def upload_template(s3: Any, bucket: str, template: Template) -> str:
    """Its key in the bucket. A long template is deployed from there, and a rollback takes any from there."""
    key = template_key(template)
    s3.put_object(Bucket=bucket, Key=key, Body=dumps(template).encode(), ContentType="application/json")
    return key


def url_of(s3: Any, bucket: str, key: str) -> str:
    """The address of a template for CloudFormation; nothing when it is short enough to go without."""
    if s3.head_object(Bucket=bucket, Key=key)["ContentLength"] <= INLINE_TEMPLATE_BYTES:
        return ""
    signed: str = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    return signed.split("?", 1)[0]
