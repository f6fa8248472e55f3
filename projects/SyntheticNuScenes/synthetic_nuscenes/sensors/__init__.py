"""This package holds the recording car: its cameras and its LiDAR."""
