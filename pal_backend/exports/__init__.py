"""What a team takes home: one module for each kind, and the table that page and command read."""
