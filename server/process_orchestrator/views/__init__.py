"""Views: what users read, rendered from core state, journal rows and pinned definitions. Nothing here decides."""
