"""The orders pipeline: API, worker, model and business step."""
