"""The paper venue: `fill_rules` says at which print and price an order fills, `matching` applies that to a tape."""
