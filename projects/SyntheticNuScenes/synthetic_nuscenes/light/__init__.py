"""This package holds time of day and weather, and how they light surfaces."""
