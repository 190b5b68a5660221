"""A module for each filter: its parameters, and the class that says which sides may be entered."""
