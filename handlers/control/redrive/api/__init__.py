"""The redrive API: routes, requests and the preview of a dead-letter queue."""
