"""This package holds files: scenes written as a nuScenes data set, named data sets and their hashes."""
