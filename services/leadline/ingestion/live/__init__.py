"""The tape `live`: prints as they come, on the clock, without an end."""
