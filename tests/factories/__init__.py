"""Small data sets, models and exact references that tests run on."""
