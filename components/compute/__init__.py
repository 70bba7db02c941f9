"""Lambda functions, what they have in common, and the zips that they are made of."""
