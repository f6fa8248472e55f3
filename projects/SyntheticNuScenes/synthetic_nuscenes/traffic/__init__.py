"""This package holds everyone in a town: who parks, drives, works, walks or stands where, and when."""
