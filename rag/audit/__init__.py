"""What the live index holds, for the people who write the documents: what is missing, double, contradictory, out of reach."""
