"""Contracts as programs: definitions loaded, checked, compiled; bodies validated; expressions evaluated. No network."""
