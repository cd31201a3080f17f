"""Everybody's own list of tasks."""
