"""Which function? Networks with weights and nothing else: no loss, no data."""
