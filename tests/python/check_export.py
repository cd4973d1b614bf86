"""Reads what `hilum data export` wrote with other people's programs. Exit status 0: as it must be.

    check_export.py modules                          are the modules there?
    check_export.py image  SERIES X.nii.gz           voxels, origin, spacing, direction as SimpleITK reads the series
    check_export.py masks  X.nii.gz MASK…            masks lie on the image's grid
    check_export.py seg    SERIES X.dcm LABELS.nii.gz         segment k is label k
    check_export.py readers SERIES X.dcm READER1.nii.gz …     segments of reader k together are mask k

Several checks may follow each other, with -- between them.
"""
import re
import sys

import highdicom
import numpy as np
import pydicom
import SimpleITK as sitk


def must(good, *what):
    if not good:
        sys.exit(" ".join(str(w) for w in what))


def near(a, b, tolerance=1e-3):
    return np.allclose(np.array(a, dtype=float), np.array(b, dtype=float), rtol=0, atol=tolerance)


def series_files(folder):
    reader = sitk.ImageSeriesReader()
    uids = reader.GetGDCMSeriesIDs(folder)
    must(len(uids) == 1, folder, "has", len(uids), "series")
    return reader.GetGDCMSeriesFileNames(folder, uids[0])


def same_grid(a, b, what):
    must(a.GetSize() == b.GetSize(), what, "size", a.GetSize(), b.GetSize())
    for name in ("GetOrigin", "GetSpacing", "GetDirection"):
        got, want = getattr(a, name)(), getattr(b, name)()
        must(near(got, want), what, name, got, want)


def check_image(folder, path):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(series_files(folder))
    theirs, ours = reader.Execute(), sitk.ReadImage(path)
    same_grid(ours, theirs, path)
    must(ours.GetPixelID() == sitk.sitkInt16, path, ours.GetPixelIDTypeAsString())
    a, b = sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs)
    must(np.array_equal(a, b), path, np.count_nonzero(a != b), "voxels differ")


def check_masks(image, masks):
    grid = sitk.ReadImage(image)
    for path in masks:
        mask = sitk.ReadImage(path)
        same_grid(mask, grid, path)
        must(mask.GetPixelID() == sitk.sitkUInt8, path, mask.GetPixelIDTypeAsString())


def check_data_set(ds, sources):
    first = sources[0]
    for name in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        must(getattr(ds, name) == getattr(first, name), name, getattr(ds, name))
    must(ds.SeriesInstanceUID != first.SeriesInstanceUID, "a series of its own")
    by_uid = {s.SOPInstanceUID: s for s in sources}
    must(len(ds.PerFrameFunctionalGroupsSequence) == ds.NumberOfFrames, "a group for each frame")
    must(len(ds.PixelData) == -(-(ds.NumberOfFrames * ds.Rows * ds.Columns) // 16) * 2, "packed bits")
    for frame in ds.PerFrameFunctionalGroupsSequence:
        reference = frame.DerivationImageSequence[0].SourceImageSequence[0]
        source = by_uid[reference.ReferencedSOPInstanceUID]
        must(reference.ReferencedSOPClassUID == source.SOPClassUID, "class of a source")
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        must(near(position, source.ImagePositionPatient, 1e-6), "position", position)
    orientation = ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    must(near(orientation, first.ImageOrientationPatient, 1e-6), "orientation", orientation)
    for _ in ds.iterall():  # every element can be decoded
        pass


def open_seg(folder, path):
    pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
    pydicom.config.settings.writing_validation_mode = pydicom.config.RAISE
    sources = [pydicom.dcmread(f, stop_before_pixels=True) for f in series_files(folder)]
    sources.sort(key=lambda s: float(s.ImagePositionPatient[2]))
    check_data_set(pydicom.dcmread(path), sources)
    seg = highdicom.seg.segread(path)
    must(seg.segmentation_type == highdicom.seg.SegmentationTypeValues.BINARY, "binary")
    return seg, [s.SOPInstanceUID for s in sources]


def pixels(seg, uids, numbers, **options):
    return seg.get_pixels_by_source_instance(uids, segment_numbers=numbers, assert_missing_frames_are_empty=True,
                                             **options)


def number_of(segment, form):
    return int(re.search(form, segment.SegmentLabel).group(1))


def check_seg(folder, path, labels):
    seg, uids = open_seg(folder, path)
    image = sitk.ReadImage(labels)
    want = sitk.GetArrayFromImage(image)
    nodules = {}
    for number in seg.segment_numbers:
        nodule = number_of(seg.get_segment_description(number), r"Nodule (\d+)$")
        nodules[nodule] = number
        got = pixels(seg, uids, [number])[..., 0]
        must(np.array_equal(got, want == nodule), "segment", number, "is not label", nodule)
    must(sorted(nodules) == [v for v in np.unique(want) if v], "labels", np.unique(want), "segments", nodules)
    volume = seg.get_volume(segment_numbers=[1]).to_patient_orientation("FPL")
    check_volume(volume, image, want, [n for n, k in nodules.items() if k == 1][0])


def check_volume(volume, image, want, nodule):
    """Every voxel of highdicom's volume is looked up in the NIfTI by its place in the patient."""
    found = np.argwhere(volume.array[..., 0])
    must(len(found) == np.count_nonzero(want == nodule), "voxels of a volume", len(found))
    places = volume.map_indices_to_reference(found)
    for place in places[:: max(1, len(places) // 500)]:
        x, y, z = image.TransformPhysicalPointToIndex([float(v) for v in place])
        must(want[z, y, x] == nodule, "at", place)


def check_readers(folder, path, masks):
    seg, uids = open_seg(folder, path)
    for reader, mask in enumerate(masks, 1):
        want = sitk.GetArrayFromImage(sitk.ReadImage(mask))
        mine = [n for n in seg.segment_numbers
                if number_of(seg.get_segment_description(n), r"reader (\d+)$") == reader]
        got = pixels(seg, uids, mine).any(axis=-1) if mine else np.zeros_like(want)
        must(np.array_equal(got, want > 0), "reader", reader, np.count_nonzero(got != (want > 0)), "voxels differ")


def check(command, *arguments):
    if command == "image":
        check_image(*arguments)
    elif command == "masks":
        check_masks(arguments[0], arguments[1:])
    elif command == "seg":
        check_seg(*arguments)
    elif command == "readers":
        check_readers(arguments[0], arguments[1], arguments[2:])
    else:
        must(command == "modules", "no check", command)


def main(arguments):
    while arguments:
        end = arguments.index("--") if "--" in arguments else len(arguments)
        check(*arguments[:end])
        arguments = arguments[end + 1:]


main(sys.argv[1:])
