"""What controls the pipelines: control table, circuit breaker, redrive, failure switch."""
