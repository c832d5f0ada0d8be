"""Sets of pictures: manifests, imports, splits, audit."""
