"""Two tenants with the same story, and every way in which one could reach for what is the other's."""
