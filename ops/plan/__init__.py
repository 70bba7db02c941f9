"""What a load does to a stack, before it is there: simulated from the configuration and AWS's published figures."""
