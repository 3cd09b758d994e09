"""The services: five files each, and never an import of a sibling."""
