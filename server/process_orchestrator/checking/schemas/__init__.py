"""JSON Schema as data: validation, projection, containment, generated values. Knows no definition and no plan."""
