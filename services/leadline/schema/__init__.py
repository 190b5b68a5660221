"""Tables, roles and streams, and the commands that migrate them."""
