"""The service that writes prints, bars and signals to the database."""
