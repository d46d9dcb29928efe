"""The hot calls of DynamoDB and S3 without botocore's general machinery. The one door is :func:`open_fast_path`.

What an answer says, what is retried and what is raised stays botocore's: here is only the first attempt of a few
operations, and only if it ends in a plain success. Decision 0040 says why, and what it costs.
"""

from chalicelib.platform.fast_path.client import open_fast_path

__all__ = ["open_fast_path"]
