"""What an operator touches: the `lab` command and the laptop's AWS."""
