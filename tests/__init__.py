"""Tests, in folders like those of the packages; `factories` makes the data and models they run on."""
