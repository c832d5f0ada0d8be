"""How networks are trained, whatever they learn: runs, processes, weights in and out."""
