"""Everything that stands in for AWS and for Lambda's runtime on one machine, on 127.0.0.1 only."""
