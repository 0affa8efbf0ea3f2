"""Schedules: expressions, what is due, firing it."""
