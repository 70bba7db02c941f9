"""Alarms, dashboard, saved queries, and who is notified."""
