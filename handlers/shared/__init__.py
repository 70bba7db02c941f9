"""What every pipeline's handlers share."""
