"""The outside systems: DynamoDB tables, S3 objects, SQS queues, rate counters. Knows no HTTP and no subject's rules."""
