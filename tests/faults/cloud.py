"""The stack of the fault laboratory: moto's, and what its lifecycle rules do."""

from __future__ import annotations

from tests.moto_aws import Kept, MotoAws, Names

__all__ = ["Cloud", "Kept"]

NAMES = Names("strongroom-faults", "eu-central-1")
REGION = NAMES.region
STACK = NAMES.stack
TEMP_BUCKET, PERMANENT_BUCKET = NAMES.temp_bucket, NAMES.permanent_bucket
QUEUE, DEAD_LETTER_QUEUE = NAMES.queue, NAMES.dead_letter_queue
QUEUE_URL, DEAD_LETTER_QUEUE_URL = NAMES.queue_url(QUEUE), NAMES.queue_url(DEAD_LETTER_QUEUE)
QUEUE_ARN = NAMES.queue_arn(QUEUE)

#: The functions' environment, but for the cache. Limits are out of the way.
ENVIRONMENT = {
    **NAMES.environment(),
    "COOKIE_SECURE": "false",
    "LOG_LEVEL": "ERROR",
    "LOG_FORMAT": "text",
    # The least that the setting takes: what is above goes in parts.
    "MULTIPART_THRESHOLD_BYTES": str(5 * 1024 * 1024),
    "RATE_LIMIT_LOGIN_PER_ADDRESS": "1000000/minute",
    "RATE_LIMIT_LOGIN_PER_USERNAME": "1000000/hour",
    "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "1000000/hour",
    "RATE_LIMIT_LOGIN_PER_DEVICE": "1000000/hour",
    "RATE_LIMIT_PASSWORD": "1000000/hour",
    "RATE_LIMIT_SECOND_FACTOR": "1000000/hour",
    "RATE_LIMIT_TICKETS": "1000000/hour",
    "RATE_LIMIT_HEALTH": "1000000/hour",
    "RATE_LIMIT_UPLOADS": "1000000/minute",
    "RATE_LIMIT_ANONYMOUS": "1000000/hour",
    "RATE_LIMIT_SIGNED_IN": "1000000/minute",
    "RATE_LIMIT_SIGN_UP": "1000000/hour",
    "RATE_LIMIT_INVITATIONS": "1000000/hour",
    "SIGN_UP": "open",
    # Where the endpoint of the laboratory listens.
    "WEBHOOK_ALLOWED_HOSTS": "127.0.0.1",
}


class Cloud(MotoAws):
    def __init__(self) -> None:
        super().__init__(NAMES)

    def run_lifecycle(self) -> bool:
        """What S3 does a day later, where the template's buckets ask for it: unfinished multipart uploads go."""
        used = False
        for name, resource in ((TEMP_BUCKET, "TempBucket"), (PERMANENT_BUCKET, "PermanentBucket")):
            rules = self.resources[resource]["Properties"]["LifecycleConfiguration"]["Rules"]
            if any(rule["Status"] == "Enabled" and "AbortIncompleteMultipartUpload" in rule for rule in rules):
                used = used or bool(self.bucket(name).multiparts)
                self.bucket(name).multiparts.clear()
        return used
