"""Policies and the customer key."""
