"""Load: what is sent, told by a number, and the figures of it; for `lab send` and for Locust."""
