"""The service that decides proposals: `entry_terms` prices an entry, `sizing` sizes it, `limits` refuses it."""
