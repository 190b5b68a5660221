"""Everything that commands, reports and the live view show, as values."""
