"""One runnable module for each claim of speed or quality."""
