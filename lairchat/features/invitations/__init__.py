"""Links that operators make: for newcomers, for one name, for a forgotten password."""
