"""News and their tags."""
