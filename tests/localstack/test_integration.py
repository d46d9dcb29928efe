"""The integration tests as they are, on LocalStack's S3, SQS and notifications."""

from tests.integration.test_consumer import *  # noqa: F403
from tests.integration.test_gateway import *  # noqa: F403
from tests.integration.test_main_job import *  # noqa: F403
