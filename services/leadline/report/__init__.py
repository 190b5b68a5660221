"""Reports of a run, as text and as a page."""
