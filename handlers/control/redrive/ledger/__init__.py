"""The ledger of a run: what is known of each letter."""
