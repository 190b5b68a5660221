"""Everything that a service's shell needs: settings, bus, database, calls, health, metrics."""
