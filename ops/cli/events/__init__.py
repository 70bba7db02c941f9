"""`lab events` and `lab send`: commands, and the sender of many events."""
