"""Alarms as data."""
