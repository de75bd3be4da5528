"""What Label Studio really sends, replayed against the real app."""
