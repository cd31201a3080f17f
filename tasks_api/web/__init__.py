"""HTTP, and no rules: what every route is declared with, and what happens to every request."""
