"""Prints on disk: one Parquet file per contract and trading day, that can be told whole from damaged."""
