"""A module for each detector: its parameters, and the class that finds its patterns."""
