"""How siblings speak to each other: one module per service that is called, and the one table of roles."""
