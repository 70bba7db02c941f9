"""Queues and what consumes them, the bus and its rules."""
