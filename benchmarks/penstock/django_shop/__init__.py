"""The Django application of D1 and D2."""
