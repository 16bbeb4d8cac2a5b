"""From the files of a home to a registry: form, lint, what is not carried out yet, the report."""
