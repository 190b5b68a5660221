"""From the platform, accounts and strategies to a list of workloads."""
