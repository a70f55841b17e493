"""Files on a disk or an object store: atomic writes, manifests, locks, caches, and copies on a node."""
