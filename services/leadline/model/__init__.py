"""Values that every room shares: instruments, calendars, prints, bars, signals, proposals, orders, manifests."""
