"""This package holds looks at a finished data set: previews, and where its classes are."""
