"""The web console: pages over the same functions that `lab` calls, for people who would rather look than read."""
