"""Other ways to choose pairs, written plainly and on their own: nothing here uses the project's code."""
