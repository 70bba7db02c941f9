"""The HTTP API and its authorizers."""
