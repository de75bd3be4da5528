"""Choosing the questions whose answers teach most: score, then select."""
