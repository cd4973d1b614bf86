-- For tests: the header of a NIfTI-1 file whose voxels lie in hilum's order, z, y, x towards superior, posterior, left.

--- o: { code = NIfTI's element type, bits, size, spacing_mm, origin_mm }, vectors z, y, x; the voxels follow.
return function(o)
  local size, spacing, origin = o.size, o.spacing_mm, o.origin_mm
  return table.concat {
    string.pack("<i4", 348), ("\0"):rep(36),
    string.pack("<i2i2i2i2i2i2i2i2", 3, size[3], size[2], size[1], 1, 1, 1, 1), ("\0"):rep(14),
    string.pack("<i2i2i2", o.code, o.bits, 0),
    string.pack("<ffffffff", 1, spacing[3], spacing[2], spacing[1], 1, 1, 1, 1), string.pack("<fff", 352, 0, 0),
    ("\0"):rep(132), string.pack("<i2i2", 0, 1), ("\0"):rep(24),
    string.pack("<ffff", -spacing[3], 0, 0, -origin[3]), string.pack("<ffff", 0, -spacing[2], 0, -origin[2]),
    string.pack("<ffff", 0, 0, spacing[1], origin[1]), ("\0"):rep(16), "n+1\0\0\0\0\0",
  }
end
