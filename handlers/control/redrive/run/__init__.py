"""A run: started once, worked on under a lease, resumed after a crash."""
