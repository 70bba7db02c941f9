"""`lab doctor`: what has to be there for a stack, checked one by one."""
