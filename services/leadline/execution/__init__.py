"""The service of one account: book (`core`), loop (`loop`), files and tables (`adapters`), venues (`venues`)."""
