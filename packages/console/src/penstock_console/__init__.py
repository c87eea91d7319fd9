"""Shows runs to people: live progress on a terminal, lines in a log, a report at the end."""
