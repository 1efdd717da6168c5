"""What states a problem: its equation, domain, conditions, fields, and the points that they are evaluated at."""
