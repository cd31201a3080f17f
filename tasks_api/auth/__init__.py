"""Users, passwords, sessions and both kinds of token."""
