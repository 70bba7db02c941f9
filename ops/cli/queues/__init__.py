"""`lab queues`: commands, and the plan of what they create and change."""
