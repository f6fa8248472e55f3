"""This package holds the kinds of annotated objects, and how each is built."""
