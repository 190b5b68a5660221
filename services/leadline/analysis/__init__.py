"""The service that asks one strategy about each bar. Its detectors and its regime are in `leadline.nodes`."""
