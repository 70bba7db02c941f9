"""HTTP API requests in, JSON answers out; no pipeline is known here."""
