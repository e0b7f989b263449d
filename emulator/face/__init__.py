"""The face core: pure functions on NumPy arrays. It uses no HTTP, storage, clock, threads or logging.

All modules of this package use these conventions:

- An ``Image`` is (H, W, 3) uint8 RGB, row 0 at the top, with the EXIF orientation applied.
- Pixel coordinates are x right, y down. The centre of a pixel is at its integer coordinates.
- Model space is in centimetres and right-handed: x to the viewer's right, y up, z towards the camera.
- Left and right are from the person's point of view, not the viewer's.
"""
