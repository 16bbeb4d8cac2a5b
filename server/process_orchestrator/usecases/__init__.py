"""The use cases behind the doors, one file each: they check what comes from outside and render what goes out."""
