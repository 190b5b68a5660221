"""Steps of analysis over closed bars: detectors, filters, regime and router. A new detector goes into `detectors/`."""
