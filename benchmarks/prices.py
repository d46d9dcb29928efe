"""List prices and the few figures that nothing here can measure. Dollars, us-east-1, without free tier, as of 2025.

Each price is for a million of its unit. Sources: the price pages of the services. Check them before you rely on a sum.
"""

from __future__ import annotations

MILLION = 1_000_000

#: Requests of a REST API, the first 333 million of a month.
GATEWAY_REQUEST = 3.50
#: Starts of a function, and gigabyte-seconds on x86.
LAMBDA_START = 0.20
LAMBDA_GB_SECOND = 16.6667
#: PUT, COPY, POST and LIST; GET and HEAD. DELETE is free.
S3_WRITE = 5.00
S3_READ = 0.40
#: Requests of a standard queue, each of up to 64 KB.
SQS_REQUEST = 0.40
#: On-demand units.
DYNAMODB_WRITE_UNIT = 0.625
DYNAMODB_READ_UNIT = 0.125
#: A gigabyte that CloudWatch Logs takes in; so a million kilobytes.
LOGS_KILOBYTE = 0.50

# ---- What is assumed ------------------------------------------------------------------------------------------------

#: A function has one processor's whole time at this memory, and a share of it below (AWS: "Configure Lambda function
#: memory").
MEMORY_OF_ONE_PROCESSOR_MB = 1769
#: Milliseconds that a call waits for its answer. DynamoDB: "single-digit" (its product page), a transaction twice that;
#: S3: "roughly 100-200 milliseconds" for small objects (AWS: "Performance design patterns for Amazon S3").
WAIT_FOR_DYNAMODB = 5
WAIT_FOR_TRANSACTION = 10
WAIT_FOR_S3 = 100
#: Bytes of a line of our own log, of the three lines that Lambda writes for an invocation together, and of a line of
#: the gateway's access log. Measured on ours; Lambda's by its documented form.
LOG_LINE_BYTES = 300
INVOCATION_LINES_BYTES = 350
ACCESS_LINE_BYTES = 350
