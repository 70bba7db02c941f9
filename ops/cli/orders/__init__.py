"""`lab orders`: commands, and replays from the archive of the bus."""
