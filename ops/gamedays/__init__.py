"""GameDays: a fault, what it must and must not do, and the proof that nothing was lost."""
