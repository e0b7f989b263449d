"""The face core: pure functions on numpy arrays. No HTTP, storage, clock, threads or logging.

Conventions that hold in every module here:

- an ``Image`` is (H, W, 3) uint8 RGB, row 0 at the top, EXIF orientation already applied;
- pixel coordinates are (x right, y down), and a pixel's centre lies at its integer coordinate;
- model space is centimetres, right-handed, x to the viewer's right, y up, z towards the camera;
- left and right are the person's own.
"""
