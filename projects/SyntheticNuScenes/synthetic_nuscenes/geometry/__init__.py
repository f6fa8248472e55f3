"""This package holds triangles and what they are made of, paths on the ground, and rays that meet triangles."""
