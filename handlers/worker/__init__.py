"""The worker of a queue: an SQS batch in, `batchItemFailures` out."""
