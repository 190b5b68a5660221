"""Leadline: order-flow trading, from ticks to an audited book."""
