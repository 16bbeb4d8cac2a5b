"""What becomes of a definition: versions, bumps, and live definitions beside their pins."""
