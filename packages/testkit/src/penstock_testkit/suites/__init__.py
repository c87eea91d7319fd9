"""The rules, a suite for each role: inherit from one, give its fixtures, and pytest holds them."""
