"""The events pipeline: ingest, worker, model and business step."""
