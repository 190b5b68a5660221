"""Studies: many variants of manifests over the same prints, and what may be concluded from them."""
