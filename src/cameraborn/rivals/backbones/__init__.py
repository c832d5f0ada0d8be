"""Networks that several rivals stand on, under the names of their published weights; no files, no pictures."""
