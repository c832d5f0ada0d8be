"""Was this face born in a camera?"""
