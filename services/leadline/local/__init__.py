"""The workloads of a plan as processes of one machine, with NATS and PostgreSQL."""
