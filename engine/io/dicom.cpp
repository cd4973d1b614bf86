// The one file that knows GDCM. A C door: every function catches what C++ throws.
#include "dicom.h"
#include <hilum/hash.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <gdcmDataElement.h>
#include <gdcmFile.h>
#include <gdcmImageReader.h>
#include <gdcmTrace.h>
#include <gdcmVersion.h>
#include <gdcmWriter.h>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace {

using bytes = std::vector<char>;

void quieten() {
  gdcm::Trace::SetDebug(false);
  gdcm::Trace::SetWarning(false);
  gdcm::Trace::SetError(false);
}

hl_status header(const char *path, hl_dicom_header *out, hl_err *e) {
  gdcm::Reader reader;
  reader.SetFileName(path);
  if (!reader.Read()) return hl_fail(e, HL_EFORMAT, "the DICOM data set cannot be read");
  dicom_header_begin(out);
  const std::string syntax = reader.GetFile().GetHeader().GetDataSetTransferSyntax().GetString();
  dicom_header_put(out, 0x0002, 0x0010, syntax.data(), syntax.size());
  for (const gdcm::DataElement &element : reader.GetFile().GetDataSet().GetDES()) {
    const gdcm::ByteValue *value = element.GetByteValue(); // none for sequences and fragments
    if (!value || !value->GetPointer()) continue;
    const gdcm::Tag &tag = element.GetTag();
    if (tag == gdcm::Tag(0x7FE0, 0x0010)) out->has |= HL_DICOM_PIXELS;
    dicom_header_put(out, tag.GetGroup(), tag.GetElement(), value->GetPointer(),
                     value->GetLength());
  }
  return HL_OK;
}

int16_t saturate(double v) {
  if (!(v > -32768)) return -32768;
  return v >= 32767 ? 32767 : static_cast<int16_t>(std::nearbyint(v));
}

// What nearly all CT has: slope 1 and a whole intercept. Eight values at a time instead of one.
template <typename stored> void shift(const bytes &from, int by, int16_t *hu) {
  const size_t n = from.size() / sizeof(stored);
  for (size_t i = 0; i < n; i++) {
    stored v;
    std::memcpy(&v, from.data() + i * sizeof v, sizeof v);
    const int moved = static_cast<int>(v) + by;
    hu[i] = static_cast<int16_t>(moved < -32768 ? -32768 : moved > 32767 ? 32767 : moved);
  }
}

template <typename stored> void rescale(const bytes &from, const hl_dicom_header *h, int16_t *hu) {
  const size_t n = from.size() / sizeof(stored);
  const bool whole = h->slope == 1 && h->intercept == std::floor(h->intercept);
  if (sizeof(stored) <= 2 && whole && std::fabs(h->intercept) < 1e9)
    return shift<stored>(from, static_cast<int>(h->intercept), hu);
  for (size_t i = 0; i < n; i++) {
    stored v;
    std::memcpy(&v, from.data() + i * sizeof v, sizeof v);
    hu[i] = saturate(static_cast<double>(v) * h->slope + h->intercept);
  }
}

hl_status rescale_any(const gdcm::PixelFormat &format, const bytes &from, const hl_dicom_header *h,
                      int16_t *hu, hl_err *e) {
  switch (format.GetScalarType()) {
  case gdcm::PixelFormat::UINT8:
    rescale<uint8_t>(from, h, hu);
    return HL_OK;
  case gdcm::PixelFormat::INT8:
    rescale<int8_t>(from, h, hu);
    return HL_OK;
  case gdcm::PixelFormat::UINT16:
    rescale<uint16_t>(from, h, hu);
    return HL_OK;
  case gdcm::PixelFormat::INT16:
    rescale<int16_t>(from, h, hu);
    return HL_OK;
  case gdcm::PixelFormat::UINT32:
    rescale<uint32_t>(from, h, hu);
    return HL_OK;
  case gdcm::PixelFormat::INT32:
    rescale<int32_t>(from, h, hu);
    return HL_OK;
  default:
    return hl_fail(e, HL_EFORMAT, "pixels are %s, expected 8, 16 or 32 bit integers",
                   format.GetScalarTypeAsString());
  }
}

hl_status pixels(const char *path, const hl_dicom_header *h, int16_t *hu, hl_err *e) {
  gdcm::ImageReader reader;
  reader.SetFileName(path);
  if (!reader.Read()) return hl_fail(e, HL_EFORMAT, "the DICOM image cannot be read");
  const gdcm::Image &image = reader.GetImage();
  const unsigned *size = image.GetDimensions(); // columns, rows
  if (image.GetNumberOfDimensions() != 2 || size[0] != static_cast<unsigned>(h->columns) ||
      size[1] != static_cast<unsigned>(h->rows))
    return hl_fail(e, HL_EFORMAT, "the image has %u x %u pixels, its header says %d x %d", size[1],
                   size[0], h->rows, h->columns);
  bytes buffer(image.GetBufferLength());
  if (!image.GetBuffer(buffer.data()))
    return hl_fail(e, HL_EFORMAT, "the pixels cannot be decoded (transfer syntax %s)",
                   h->transfer_syntax);
  const gdcm::PixelFormat &format = image.GetPixelFormat(); // known for sure after decoding only
  const size_t expected = static_cast<size_t>(h->rows) * static_cast<size_t>(h->columns);
  if (format.GetSamplesPerPixel() != 1 || buffer.size() != expected * format.GetPixelSize())
    return hl_fail(e, HL_EFORMAT, "%zu bytes of pixels, expected %zu", buffer.size(),
                   expected * format.GetPixelSize());
  return rescale_any(format, buffer, h, hu, e);
}

// --- Writing
// --------------------------------------------------------------------------------------

class data_set {
public:
  explicit data_set(gdcm::DataSet &to) : to_(to) {}

  // Padded to even length as the value's kind wants it.
  void text(uint16_t tag_group, uint16_t element, gdcm::VR::VRType vr, std::string value) {
    if (value.size() % 2) value += vr == gdcm::VR::UI ? '\0' : ' ';
    raw(tag_group, element, vr, value.data(), value.size());
  }
  void number(uint16_t tag_group, uint16_t element, std::initializer_list<double> values) {
    std::string joined;
    for (double v : values) {
      char one[32];
      std::snprintf(one, sizeof one, "%.10g", v); // DS: at most 16 characters
      if (!joined.empty()) joined += '\\';
      joined += one;
    }
    text(tag_group, element, gdcm::VR::DS, joined);
  }
  void integer(uint16_t tag_group, uint16_t element, int value) {
    text(tag_group, element, gdcm::VR::IS, std::to_string(value));
  }
  void us(uint16_t tag_group, uint16_t element, int value) {
    const unsigned char le[2] = {static_cast<unsigned char>(value & 255),
                                 static_cast<unsigned char>(value >> 8 & 255)};
    raw(tag_group, element, gdcm::VR::US, le, 2);
  }
  void raw(uint16_t tag_group, uint16_t element, gdcm::VR::VRType vr, const void *value, size_t n) {
    gdcm::DataElement de(gdcm::Tag(tag_group, element));
    de.SetVR(vr);
    de.SetByteValue(static_cast<const char *>(value), gdcm::VL(static_cast<uint32_t>(n)));
    to_.Replace(de);
  }

private:
  gdcm::DataSet &to_;
};

const char CT_IMAGE[] = "1.2.840.10008.5.1.4.1.1.2";

void describe(data_set &d, const hl_dicom_header *h, const char *description) {
  d.text(0x0008, 0x0008, gdcm::VR::CS, "DERIVED\\SECONDARY\\AXIAL");
  d.text(0x0008, 0x0016, gdcm::VR::UI, h->sop_class[0] ? h->sop_class : CT_IMAGE);
  d.text(0x0008, 0x0018, gdcm::VR::UI, h->sop_uid);
  d.text(0x0008, 0x0020, gdcm::VR::DA, "20000101");
  d.text(0x0008, 0x0030, gdcm::VR::TM, "000000");
  d.text(0x0008, 0x0050, gdcm::VR::SH, "");
  d.text(0x0008, 0x0060, gdcm::VR::CS, h->modality[0] ? h->modality : "CT");
  d.text(0x0008, 0x0070, gdcm::VR::LO, "hilum");
  d.text(0x0008, 0x0090, gdcm::VR::PN, "");
  d.text(0x0008, 0x103E, gdcm::VR::LO, description);
  d.text(0x0010, 0x0010, gdcm::VR::PN, h->patient_id);
  d.text(0x0010, 0x0020, gdcm::VR::LO, h->patient_id);
  d.text(0x0010, 0x0030, gdcm::VR::DA, "");
  d.text(0x0010, 0x0040, gdcm::VR::CS, "");
  d.number(0x0018, 0x0050, {h->thickness_mm});
  d.number(0x0018, 0x0060, {120});
  d.text(0x0020, 0x000D, gdcm::VR::UI, h->study_uid);
  d.text(0x0020, 0x000E, gdcm::VR::UI, h->series_uid);
  d.text(0x0020, 0x0010, gdcm::VR::SH, "1");
  d.integer(0x0020, 0x0011, 1);
  d.integer(0x0020, 0x0012, 1);
  d.integer(0x0020, 0x0013, h->instance);
}

// The header's, or one that follows from the study: two objects never share a UID.
std::string frame_of_reference(const hl_dicom_header *h) {
  char uid[HL_HASH_UID_TEXT];
  if (h->frame_uid[0]) return h->frame_uid;
  const std::string name = std::string("hilum frame of reference of ") + h->study_uid;
  return hl_hash_uid(name.data(), name.size(), uid, nullptr) == HL_OK ? uid : "";
}

void place(data_set &d, const hl_dicom_header *h) {
  const double *p = h->position_mm, *o = h->orientation;
  d.number(0x0020, 0x0032, {p[0], p[1], p[2]});
  d.number(0x0020, 0x0037, {o[0], o[1], o[2], o[3], o[4], o[5]});
  d.text(0x0020, 0x0052, gdcm::VR::UI, frame_of_reference(h));
  d.text(0x0020, 0x1040, gdcm::VR::LO, "");
  d.us(0x0028, 0x0002, 1);
  d.text(0x0028, 0x0004, gdcm::VR::CS, "MONOCHROME2");
  d.us(0x0028, 0x0010, h->rows);
  d.us(0x0028, 0x0011, h->columns);
  d.number(0x0028, 0x0030, {h->spacing_mm[0], h->spacing_mm[1]});
  d.us(0x0028, 0x0100, 16);
  const int bits = h->bits_stored ? h->bits_stored : 16;
  d.us(0x0028, 0x0101, bits);
  d.us(0x0028, 0x0102, bits - 1);
  d.us(0x0028, 0x0103, h->is_signed ? 1 : 0);
  if (h->has & HL_DICOM_PADDING) {
    const uint16_t padding = static_cast<uint16_t>(h->padding);
    const char raw[2] = {static_cast<char>(padding & 255), static_cast<char>(padding >> 8)};
    d.raw(0x0028, 0x0120, h->is_signed ? gdcm::VR::SS : gdcm::VR::US, raw, sizeof raw);
  }
  d.number(0x0028, 0x1052, {-1024});
  d.number(0x0028, 0x1053, {1});
  d.text(0x0028, 0x1054, gdcm::VR::LO, "HU");
}

bytes stored_pixels(const hl_dicom_header *h, const int16_t *hu) {
  const size_t n = static_cast<size_t>(h->rows) * static_cast<size_t>(h->columns);
  bytes out(2 * n);
  for (size_t i = 0; i < n; i++) {
    const int v = hu[i] < -1024 && !h->is_signed ? 0 : hu[i] + 1024;
    out[2 * i] = static_cast<char>(v & 255);
    out[2 * i + 1] = static_cast<char>(v >> 8 & 255);
  }
  return out;
}

hl_status write(const char *path, const hl_dicom_header *h, const int16_t *hu,
                const char *description, hl_err *e) {
  quieten();
  gdcm::Writer writer;
  gdcm::File &file = writer.GetFile();
  file.GetHeader().SetDataSetTransferSyntax(gdcm::TransferSyntax::ExplicitVRLittleEndian);
  data_set d(file.GetDataSet());
  describe(d, h, description);
  place(d, h);
  const bytes stored = stored_pixels(h, hu);
  d.raw(0x7FE0, 0x0010, gdcm::VR::OW, stored.data(), stored.size());
  writer.SetFileName(path);
  if (!writer.Write()) return hl_fail(e, HL_EIO, "%s: cannot be written", path);
  return HL_OK;
}

// GDCM's stream does not tell of a disk that fills up while its last buffer is written.
hl_status check_written(const char *path, const hl_dicom_header *h, hl_err *e) {
  struct stat st;
  const long long pixels = 2LL * h->rows * h->columns;
  if (stat(path, &st) == 0 && static_cast<long long>(st.st_size) > pixels) return HL_OK;
  return hl_fail(e, HL_EIO, "%s: not written whole (is the disk full?)", path);
}

template <typename call> hl_status guarded(hl_err *e, call body) {
  try {
    return body();
  } catch (const std::exception &x) {
    return hl_fail(e, HL_EFORMAT, "%s", x.what());
  } catch (...) {
    return hl_fail(e, HL_EFORMAT, "GDCM gave up");
  }
}

} // namespace

extern "C" hl_status dicom_gdcm_header(const char *path, hl_dicom_header *out, hl_err *e) {
  quieten();
  return guarded(e, [&] { return header(path, out, e); });
}

extern "C" hl_status dicom_gdcm_pixels(const char *path, const hl_dicom_header *h, int16_t *hu,
                                       hl_err *e) {
  quieten();
  return guarded(e, [&] { return pixels(path, h, hu, e); });
}

extern "C" hl_status hl_dicom_write_ct(const char *path, const hl_dicom_header *h,
                                       const int16_t *hu, const char *description, hl_err *e) {
  HL_TRY(guarded(e, [&] { return write(path, h, hu, description, e); }));
  return check_written(path, h, e);
}

extern "C" const char *hl_dicom_library(void) {
  return gdcm::Version::GetVersion();
}
