"""Registration of files, and the object store that their presigned URLs lead to."""
