"""Each pipeline composes the components into one path for events."""
