"""Files: their registration, and the object store from which presigned URLs upload and download."""
