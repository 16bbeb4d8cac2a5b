"""What files say: strict YAML, places in them, definitions with their defaults. Judges nothing."""
