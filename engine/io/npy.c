#include <hilum/npy.h>

#include <hilum/disk.h>
#include <hilum/narrow.h>

#include <stdio.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers are written as they lie in memory: little-endian"
#endif

/* Layout: "\x93NUMPY", version (two bytes), length of the header (2 bytes in version 1, 4 later),
 * the header (a Python dictionary, padded with spaces, ending in a newline), the numbers. */
enum { MAGIC = 6, FIXED = 8, MOST_HEADER = 65536, ALIGNMENT = 64, BUFFER = 8192 };
static const char magic[MAGIC + 1] = "\x93NUMPY";

typedef struct header {
  char kind; /* f, i, u or b */
  int width; /* bytes of one number */
  bool big_endian, fortran;
  hl_shape shape;
} header;

/* ---- the header's text ---- */

typedef struct text {
  const char *at, *end;
} text;

static void skip_spaces(text *t) {
  while (t->at < t->end && (*t->at == ' ' || *t->at == '\n')) t->at++;
}

/* Takes `word` if it comes next. */
static bool take(text *t, const char *word) {
  skip_spaces(t);
  size_t n = strlen(word);
  if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0) return false;
  t->at += n;
  return true;
}

static bool take_number(text *t, int64_t *out) {
  skip_spaces(t);
  const char *first = t->at;
  int64_t n = 0;
  for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
    if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *t->at - '0', &n))
      return false;
  *out = n;
  return t->at > first;
}

/* '<f4' */
static bool take_type(text *t, header *h) {
  skip_spaces(t);
  if (t->end - t->at < 5 || t->at[0] != '\'' || t->at[4] != '\'') return false;
  char order = t->at[1];
  h->kind = t->at[2];
  h->width = t->at[3] - '0';
  h->big_endian = order == '>';
  t->at += 5;
  return order == '<' || order == '>' || order == '|' || order == '=';
}

/* (), (3,), (3, 4) */
static bool take_shape(text *t, hl_shape *s) {
  memset(s, 0, sizeof *s);
  if (!take(t, "(")) return false;
  while (!take(t, ")")) {
    if (s->rank == HL_MAX_RANK || !take_number(t, &s->dim[s->rank])) return false;
    s->rank++;
    if (!take(t, ",")) return take(t, ")");
  }
  return true;
}

static bool take_truth(text *t, bool *out) {
  *out = take(t, "True");
  return *out || take(t, "False");
}

/* The dictionary with its three entries in any order. */
static bool take_header(text t, header *h) {
  unsigned seen = 0;
  if (!take(&t, "{")) return false;
  while (!take(&t, "}")) {
    unsigned entry;
    if (take(&t, "'descr'") && take(&t, ":") && take_type(&t, h))
      entry = 1;
    else if (take(&t, "'fortran_order'") && take(&t, ":") && take_truth(&t, &h->fortran))
      entry = 2;
    else if (take(&t, "'shape'") && take(&t, ":") && take_shape(&t, &h->shape))
      entry = 4;
    else
      return false;
    if ((seen & entry) != 0) return false;
    seen |= entry;
    if (!take(&t, ",") && !take(&t, "}")) return false;
    if (t.at[-1] == '}') break;
  }
  skip_spaces(&t);
  return seen == 7 && t.at == t.end;
}

/* The type a tensor of these numbers has; HL_DTYPES if there is none. */
static hl_dtype dtype_of(const header *h) {
  static const struct {
    char kind;
    int width;
    hl_dtype dtype;
  } known[] = {{'f', 4, HL_F32}, {'f', 8, HL_F64}, {'i', 4, HL_I32}, {'i', 2, HL_I16},
               {'i', 8, HL_I32}, {'u', 1, HL_U8},  {'b', 1, HL_U8}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].kind == h->kind && known[i].width == h->width) return known[i].dtype;
  return HL_DTYPES;
}

/* ---- reading ---- */

typedef struct source {
  const char *path;
  FILE *file;
  int64_t left; /* bytes not read yet */
} source;

static hl_status read_bytes(source *s, void *to, size_t n, hl_err *e) {
  if (s->left < 0 || (uint64_t)s->left < n)
    return hl_fail(e, HL_EFORMAT, "%s: the file ends too early", s->path);
  if (fread(to, 1, n, s->file) != n) return hl_fail(e, HL_EIO, "%s: cannot be read", s->path);
  s->left -= (int64_t)n;
  return HL_OK;
}

static uint32_t little_endian(const unsigned char *bytes, int n) {
  uint32_t value = 0;
  for (int i = n - 1; i >= 0; i--) value = value << 8 | bytes[i];
  return value;
}

static hl_status parse_header(source *s, uint32_t length, char *room, header *h, hl_err *e) {
  HL_TRY(read_bytes(s, room, length, e));
  memset(h, 0, sizeof *h);
  if (!take_header((text){room, room + length}, h))
    return hl_fail(e, HL_EFORMAT,
                   "%s: the header is not that of an array of numbers with at most %d axes: %.*s",
                   s->path, HL_MAX_RANK, (int)(length < 200 ? length : 200), room);
  if (dtype_of(h) == HL_DTYPES)
    return hl_fail(e, HL_EFORMAT, "%s: element type '%c%d' (known: f4, f8, i8, i4, i2, u1, b1)",
                   s->path, h->kind, h->width);
  return HL_OK;
}

static hl_status read_header(source *s, header *h, hl_err *e) {
  unsigned char fixed[FIXED], count[4];
  HL_TRY(read_bytes(s, fixed, FIXED, e));
  if (memcmp(fixed, magic, MAGIC) != 0)
    return hl_fail(e, HL_EFORMAT, "%s: is no .npy file", s->path);
  if (fixed[6] < 1 || fixed[6] > 3)
    return hl_fail(e, HL_EFORMAT, "%s: version %d of the .npy format (known: 1 to 3)", s->path,
                   fixed[6]);
  int bytes = fixed[6] == 1 ? 2 : 4;
  HL_TRY(read_bytes(s, count, (size_t)bytes, e));
  uint32_t length = little_endian(count, bytes);
  if (length > MOST_HEADER)
    return hl_fail(e, HL_EFORMAT, "%s: a header of %u bytes (at most %d)", s->path, length,
                   MOST_HEADER);
  char *room = hl_host_calloc(length + 1, 1);
  if (room == NULL) return hl_fail(e, HL_ENOMEM, "%s: no memory for the header", s->path);
  hl_status status = parse_header(s, length, room, h, e);
  hl_host_free(room);
  return status;
}

static void swap_bytes(char *bytes, int64_t n, int width) {
  for (int64_t i = 0; i < n; i++, bytes += width)
    for (int k = 0; k < width / 2; k++) {
      char held = bytes[k];
      bytes[k] = bytes[width - 1 - k];
      bytes[width - 1 - k] = held;
    }
}

/* Whole numbers of 8 bytes into i32. */
static hl_status read_long(source *s, const header *h, int32_t *to, int64_t n, hl_err *e) {
  int64_t buffer[BUFFER / 8];
  while (n > 0) {
    int64_t some = n < BUFFER / 8 ? n : BUFFER / 8;
    HL_TRY(read_bytes(s, buffer, (size_t)some * 8, e));
    if (h->big_endian) swap_bytes((char *)buffer, some, 8);
    for (int64_t i = 0; i < some; i++) {
      if (buffer[i] < INT32_MIN || buffer[i] > INT32_MAX)
        return hl_fail(e, HL_EFORMAT, "%s: %lld does not fit into i32", s->path,
                       (long long)buffer[i]);
      to[i] = (int32_t)buffer[i];
    }
    to += some;
    n -= some;
  }
  return HL_OK;
}

static hl_status read_numbers(source *s, const header *h, hl_tensor *t, hl_err *e) {
  int64_t n = hl_tensor_numel(t);
  if (h->kind == 'i' && h->width == 8) return read_long(s, h, hl_tensor_i32(t), n, e);
  HL_TRY(read_bytes(s, hl_tensor_data(t), hl_tensor_bytes(t), e));
  if (h->big_endian) swap_bytes(hl_tensor_data(t), n, h->width);
  return HL_OK;
}

/* Numbers with the first axis fastest are those of the reversed axes in row-major order. */
static hl_status turned(hl_tensor **out, hl_tensor *reversed, hl_err *e) {
  int order[HL_MAX_RANK], rank = hl_tensor_shape(reversed)->rank;
  for (int i = 0; i < rank; i++) order[i] = rank - 1 - i;
  hl_tensor *view;
  HL_TRY(hl_tensor_permute(&view, reversed, order, e));
  hl_status status = hl_tensor_dense(out, view, hl_tensor_dtype(view), HL_PLAIN, e);
  hl_tensor_unref(view);
  return status;
}

/* Refuses what the rest of the file cannot hold, before memory is taken for it. */
static hl_status check_size(const source *s, const header *h, const hl_desc *d, hl_err *e) {
  hl_err local = {0};
  if (hl_shape_check(&d->shape, h->width == 8 ? HL_F64 : d->dtype, &local) != HL_OK)
    return hl_fail(e, HL_EFORMAT, "%s: %s", s->path, local.msg);
  int64_t wants = hl_shape_numel(&d->shape) * h->width;
  if (wants != s->left)
    return hl_fail(e, HL_EFORMAT, "%s: the header promises %lld bytes of numbers, but %lld follow",
                   s->path, (long long)wants, (long long)s->left);
  return HL_OK;
}

static hl_status read_array(source *s, hl_tensor **out, hl_err *e) {
  header h;
  HL_TRY(read_header(s, &h, e));
  hl_desc d = {.dtype = dtype_of(&h), .layout = HL_PLAIN, .shape = h.shape};
  for (int i = 0; i < h.shape.rank && h.fortran; i++)
    d.shape.dim[i] = h.shape.dim[h.shape.rank - 1 - i];
  HL_TRY(check_size(s, &h, &d, e));
  hl_tensor *t;
  HL_TRY(hl_tensor_new(&t, &d, hl_ledger_main(), HL_MEM_DATA, s->path, e));
  hl_status status = read_numbers(s, &h, t, e);
  if (status == HL_OK && h.fortran)
    status = turned(out, t, e);
  else if (status == HL_OK)
    *out = hl_tensor_ref(t);
  hl_tensor_unref(t);
  return status;
}

hl_status hl_npy_read(hl_tensor **out, const char *path, hl_err *e) {
  *out = NULL;
  source s = {.path = path};
  HL_TRY(hl_disk_readable(path, &s.left, e));
  s.file = fopen(path, "rb");
  if (s.file == NULL) return hl_fail(e, HL_EIO, "%s: cannot be opened", path);
  hl_status status = read_array(&s, out, e);
  (void)fclose(s.file);
  return status;
}

/* ---- writing ---- */

/* The header into `to`; returns its length, a multiple of ALIGNMENT. */
static size_t write_header(char *to, size_t room, const hl_desc *d) {
  static const char *const types[] = {
      [HL_F32] = "<f4", [HL_F64] = "<f8", [HL_I32] = "<i4", [HL_I16] = "<i2", [HL_U8] = "|u1"};
  enum { START = FIXED + 2 };
  size_t n = START;
  n += (size_t)snprintf(to + n, room - n, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                        types[d->dtype]);
  for (int i = 0; i < d->shape.rank; i++)
    n += (size_t)snprintf(to + n, room - n, "%lld,%s", (long long)d->shape.dim[i],
                          i + 1 < d->shape.rank ? " " : "");
  n += (size_t)snprintf(to + n, room - n, "), }");
  while ((n + 1) % ALIGNMENT != 0) to[n++] = ' ';
  to[n++] = '\n';
  memcpy(to, magic, MAGIC);
  to[6] = 1;
  to[7] = 0;
  to[8] = (char)((n - START) & 0xFF);
  to[9] = (char)((n - START) >> 8);
  return n;
}

static hl_status write_plain(const char *path, const hl_tensor *t, hl_err *e) {
  char head[512];
  size_t n = write_header(head, sizeof head, hl_tensor_desc(t)), bytes = hl_tensor_bytes(t);
  void *whole;
  HL_TRY(hl_mem_alloc(hl_ledger_main(), &whole, n + bytes, HL_MEM_WORKSPACE, path, e));
  memcpy(whole, head, n);
  memcpy((char *)whole + n, hl_tensor_data(t), bytes);
  hl_status status = hl_disk_replace(path, whole, n + bytes, e);
  hl_mem_free(hl_ledger_main(), whole, n + bytes, HL_MEM_WORKSPACE);
  return status;
}

hl_status hl_npy_write(const char *path, hl_tensor *t, hl_err *e) {
  hl_dtype type = hl_dtype_is_narrow(hl_tensor_dtype(t)) ? HL_F32 : hl_tensor_dtype(t);
  hl_tensor *plain;
  HL_TRY(hl_tensor_dense(&plain, t, type, HL_PLAIN, e));
  hl_status status = write_plain(path, plain, e);
  hl_tensor_unref(plain);
  return status;
}
