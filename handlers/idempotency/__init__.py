"""Idempotency: keys, claims on them, and the state table."""
