"""Values from outside: the types of a specification's members, units, and text files."""
