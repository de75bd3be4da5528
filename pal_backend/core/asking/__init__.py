"""Choosing questions: a strategy scores candidates, a selection takes those that are good together."""
