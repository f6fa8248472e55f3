"""This package holds towns: how their roads and blocks are drawn, and the scenery that is built on them."""
