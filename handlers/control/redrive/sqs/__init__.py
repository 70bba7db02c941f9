"""The queues of a redrive: letters received, sent and deleted."""
