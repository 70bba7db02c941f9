"""The control plane: what an operator, a schedule or an alarm asks of a pipeline."""
