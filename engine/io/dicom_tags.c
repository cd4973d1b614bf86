/* Which elements a header keeps, and how their values are read (DICOM PS3.5 §6.2, PS3.6). */
#include "dicom.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef enum value_kind { TEXT, NUMBERS, INTEGER, US } value_kind;

typedef struct kept {
  uint32_t tag;
  value_kind kind;
  size_t offset;
  size_t count; /* TEXT: size of the field; NUMBERS: how many there must be */
  unsigned has; /* what is known once it was read */
} kept;

#define FIELD(name) offsetof(hl_dicom_header, name)
#define SIZE(name) sizeof(((hl_dicom_header *)0)->name)

static const kept table[] = {
    {0x00020010, TEXT, FIELD(transfer_syntax), SIZE(transfer_syntax), 0},
    {0x00080016, TEXT, FIELD(sop_class), SIZE(sop_class), 0},
    {0x00080018, TEXT, FIELD(sop_uid), SIZE(sop_uid), 0},
    {0x00080020, TEXT, FIELD(study_date), SIZE(study_date), 0},
    {0x00080030, TEXT, FIELD(study_time), SIZE(study_time), 0},
    {0x00080050, TEXT, FIELD(accession), SIZE(accession), 0},
    {0x00080060, TEXT, FIELD(modality), SIZE(modality), 0},
    {0x00100010, TEXT, FIELD(patient_name), SIZE(patient_name), 0},
    {0x00100020, TEXT, FIELD(patient_id), SIZE(patient_id), 0},
    {0x00100030, TEXT, FIELD(patient_birth), SIZE(patient_birth), 0},
    {0x00100040, TEXT, FIELD(patient_sex), SIZE(patient_sex), 0},
    {0x00180050, NUMBERS, FIELD(thickness_mm), 1, 0},
    {0x0020000D, TEXT, FIELD(study_uid), SIZE(study_uid), 0},
    {0x0020000E, TEXT, FIELD(series_uid), SIZE(series_uid), 0},
    {0x00200010, TEXT, FIELD(study_id), SIZE(study_id), 0},
    {0x00200013, INTEGER, FIELD(instance), 1, 0},
    {0x00200032, NUMBERS, FIELD(position_mm), 3, HL_DICOM_POSITION},
    {0x00200037, NUMBERS, FIELD(orientation), 6, HL_DICOM_ORIENTATION},
    {0x00200052, TEXT, FIELD(frame_uid), SIZE(frame_uid), 0},
    {0x00280002, US, FIELD(samples), 1, 0},
    {0x00280008, INTEGER, FIELD(frames), 1, 0},
    {0x00280010, US, FIELD(rows), 1, 0},
    {0x00280011, US, FIELD(columns), 1, 0},
    {0x00280030, NUMBERS, FIELD(spacing_mm), 2, HL_DICOM_SPACING},
    {0x00280100, US, FIELD(bits_allocated), 1, 0},
    {0x00280101, US, FIELD(bits_stored), 1, 0},
    {0x00280103, US, FIELD(is_signed), 1, 0},
    {0x00281052, NUMBERS, FIELD(intercept), 1, 0},
    {0x00281053, NUMBERS, FIELD(slope), 1, HL_DICOM_RESCALE},
};

void dicom_header_begin(hl_dicom_header *h) {
  memset(h, 0, sizeof *h);
  h->slope = 1;
  h->samples = h->frames = 1;
}

/* Padding: UIDs end in a zero, other texts in a blank (PS3.5 §6.2); writers mix them up. */
static size_t without_padding(const char *text, size_t n) {
  while (n && (text[n - 1] == '\0' || text[n - 1] == ' ')) n--;
  return n;
}

static void put_text(char *to, size_t room, const char *text, size_t n) {
  n = without_padding(text, n);
  while (n && *text == ' ') {
    text++;
    n--;
  }
  if (n > room - 1) n = room - 1;
  for (size_t i = 0; i < n; i++) to[i] = text[i] >= ' ' && text[i] < 127 ? text[i] : '?';
  to[n] = '\0';
}

/* `count` numbers separated by backslashes; all or nothing. */
static bool put_numbers(double *to, size_t count, const char *text, size_t n) {
  char copy[256];
  double values[6];
  n = without_padding(text, n);
  if (n >= sizeof copy || count > 6) return false;
  memcpy(copy, text, n);
  copy[n] = '\0';
  char *at = copy;
  for (size_t i = 0; i < count; i++) {
    char *end;
    values[i] = strtod(at, &end);
    while (*end == ' ') end++;
    if (end == at || !isfinite(values[i])) return false;
    if (*end != (i + 1 < count ? '\\' : '\0')) return false;
    at = end + 1;
  }
  memcpy(to, values, count * sizeof *to);
  return true;
}

static void put_integer(int *to, const char *text, size_t n) {
  double value;
  if (put_numbers(&value, 1, text, n) && fabs(value) < 1e9) *to = (int)value;
}

static void put_us(int *to, const uint8_t *bytes, size_t n) {
  if (n >= 2) *to = bytes[0] | bytes[1] << 8;
}

void dicom_header_put(hl_dicom_header *h, uint16_t tag_group, uint16_t element, const void *value,
                      size_t n) {
  uint32_t tag = (uint32_t)tag_group << 16 | element;
  const kept *k = table, *end = table + sizeof table / sizeof *table;
  while (k < end && k->tag != tag) k++;
  if (k == end) return;
  char *field = (char *)h + k->offset;
  switch (k->kind) {
  case TEXT:
    put_text(field, k->count, value, n);
    break;
  case INTEGER:
    put_integer((int *)(void *)field, value, n);
    break;
  case US:
    put_us((int *)(void *)field, value, n);
    break;
  case NUMBERS:
    if (put_numbers((double *)(void *)field, k->count, value, n)) h->has |= k->has;
    break;
  }
  h->has &= ~(unsigned)HL_DICOM_SIZE; /* an element may come twice */
  if (h->rows > 0 && h->columns > 0) h->has |= HL_DICOM_SIZE;
}
