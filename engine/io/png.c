#include <hilum/disk.h>
#include <hilum/png.h>

#include <png.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* libpng reports errors by longjmp. Each function that calls setjmp here keeps everything that must
 * survive the jump in a `codec` of its caller, so that nothing is lost and nothing is undefined. */

enum {
  BEST_DEFLATE = 1100, /* deflate cannot shrink by more than about 1032 */
  CHUNK_BYTES = 16 << 20,
  BLOCK_BYTES = 2 * CHUNK_BYTES, /* libpng takes memory for a chunk before it looks for its bytes */
  CHUNKS = 1000
};

typedef struct codec {
  const char *path;
  png_structp png;
  png_infop info;
  FILE *file;    /* reading */
  int64_t bytes; /* of the file */
  bool grey;
  uint8_t *out; /* writing: the encoded file */
  size_t used, room;
  png_bytep *rows;
  int64_t height, width, channels;
  bool no_memory;
  char reason[128];
} codec;

static void on_error(png_structp png, png_const_charp text) {
  codec *c = png_get_error_ptr(png);
  snprintf(c->reason, sizeof c->reason, "%s", text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png, (void)text;
}

static png_voidp on_malloc(png_structp png, png_alloc_size_t bytes) {
  codec *c = png_get_mem_ptr(png);
  if (bytes > BLOCK_BYTES) return NULL; /* libpng's message names the chunk */
  void *p = hl_host_calloc(1, bytes);
  if (p == NULL) c->no_memory = true;
  return p;
}

static void on_free(png_structp png, png_voidp p) {
  (void)png;
  hl_host_free(p);
}

static hl_status codec_fail(const codec *c, const char *what, hl_err *e) {
  if (c->no_memory) return hl_fail(e, HL_ENOMEM, "%s: no memory for the image", c->path);
  return hl_fail(e, HL_EFORMAT, "%s: %s (%s)", c->path, what, c->reason);
}

/* ---- reading ---- */

static void on_read(png_structp png, png_bytep to, size_t n) {
  codec *c = png_get_io_ptr(png);
  if (fread(to, 1, n, c->file) == n) return;
  png_error(png, ferror(c->file) ? "cannot be read" : "the file ends too early");
}

static void choose_output(const codec *c) {
  png_structp png = c->png;
  png_set_expand(png); /* palettes, fewer than 8 bits, transparency */
  png_set_scale_16(png);
  if (!c->grey) return;
  png_set_strip_alpha(png);
  if ((png_get_color_type(png, c->info) & PNG_COLOR_MASK_COLOR) != 0)
    png_set_rgb_to_gray(png, PNG_ERROR_ACTION_NONE, 0.2126, 0.7152);
}

static bool read_header(codec *c) {
  if (setjmp(png_jmpbuf(c->png)) != 0) return false;
  png_set_user_limits(c->png, HL_PNG_MOST, HL_PNG_MOST);
  png_set_chunk_malloc_max(c->png, CHUNK_BYTES);
  png_set_chunk_cache_max(c->png, CHUNKS);
  png_set_read_fn(c->png, c, on_read);
  png_read_info(c->png, c->info);
  choose_output(c);
  (void)png_set_interlace_handling(c->png);
  png_read_update_info(c->png, c->info);
  c->height = png_get_image_height(c->png, c->info);
  c->width = png_get_image_width(c->png, c->info);
  c->channels = png_get_channels(c->png, c->info);
  return true;
}

static bool read_rows(codec *c) {
  if (setjmp(png_jmpbuf(c->png)) != 0) return false;
  png_read_image(c->png, c->rows);
  png_read_end(c->png, NULL);
  return true;
}

static hl_status point_rows(codec *c, uint8_t *pixels, hl_err *e) {
  c->rows = hl_host_calloc((size_t)c->height, sizeof *c->rows);
  if (c->rows == NULL) return hl_fail(e, HL_ENOMEM, "%s: no memory for the image", c->path);
  for (int64_t y = 0; y < c->height; y++) c->rows[y] = pixels + y * c->width * c->channels;
  return HL_OK;
}

static hl_status read_image(codec *c, hl_tensor **out, hl_err *e) {
  if (!read_header(c)) return codec_fail(c, "is no readable PNG image", e);
  int64_t bytes = c->height * c->width * c->channels;
  if (bytes / BEST_DEFLATE > c->bytes)
    return hl_fail(e, HL_EFORMAT, "%s: claims %lld x %lld pixels, but the file has only %lld bytes",
                   c->path, (long long)c->width, (long long)c->height, (long long)c->bytes);
  hl_desc d = {HL_U8, HL_PLAIN, {2, {c->height, c->width, c->channels}}};
  if (c->channels > 1) d.shape.rank = 3;
  hl_tensor *t;
  HL_TRY(hl_tensor_new(&t, &d, hl_ledger_main(), HL_MEM_DATA, c->path, e));
  hl_status status = point_rows(c, hl_tensor_u8(t), e);
  if (status == HL_OK && !read_rows(c)) status = codec_fail(c, "is damaged or incomplete", e);
  if (status == HL_OK)
    *out = t;
  else
    hl_tensor_unref(t);
  return status;
}

static hl_status read_file(codec *c, hl_tensor **out, hl_err *e) {
  HL_TRY(hl_disk_readable(c->path, &c->bytes, e));
  c->file = fopen(c->path, "rb");
  if (c->file == NULL) return hl_fail(e, HL_EIO, "%s: cannot be opened", c->path);
  c->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c, on_malloc,
                                    on_free);
  if (c->png != NULL) c->info = png_create_info_struct(c->png);
  hl_status status = c->info != NULL
                         ? read_image(c, out, e)
                         : hl_fail(e, HL_ENOMEM, "%s: no memory for the image", c->path);
  png_destroy_read_struct(&c->png, &c->info, NULL);
  hl_host_free(c->rows);
  (void)fclose(c->file);
  return status;
}

hl_status hl_png_read(hl_tensor **out, const char *path, hl_err *e) {
  *out = NULL;
  codec c = {.path = path};
  return read_file(&c, out, e);
}

hl_status hl_png_read_grey(hl_tensor **out, const char *path, hl_err *e) {
  *out = NULL;
  codec c = {.path = path, .grey = true};
  return read_file(&c, out, e);
}

/* ---- writing ---- */

static void on_write(png_structp png, png_bytep from, size_t n) {
  codec *c = png_get_io_ptr(png);
  if (c->used + n > c->room) {
    size_t room = 2 * (c->used + n) + 4096;
    uint8_t *grown = hl_host_realloc(c->out, room);
    c->no_memory = grown == NULL;
    if (c->no_memory) png_error(png, "out of memory");
    c->out = grown;
    c->room = room;
  }
  memcpy(c->out + c->used, from, n);
  c->used += n;
}

static void on_flush(png_structp png) {
  (void)png;
}

static bool encode(codec *c) {
  static const int colour[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                               PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
  if (setjmp(png_jmpbuf(c->png)) != 0) return false;
  png_set_write_fn(c->png, c, on_write, on_flush);
  png_set_IHDR(c->png, c->info, (png_uint_32)c->width, (png_uint_32)c->height, 8,
               colour[c->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(c->png, c->info);
  png_write_image(c->png, c->rows);
  png_write_end(c->png, NULL);
  return true;
}

static hl_status write_image(codec *c, uint8_t *pixels, hl_err *e) {
  HL_TRY(point_rows(c, pixels, e));
  c->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, c, on_error, on_warning, c, on_malloc,
                                     on_free);
  if (c->png != NULL) c->info = png_create_info_struct(c->png);
  if (c->info == NULL) return hl_fail(e, HL_ENOMEM, "%s: no memory for the image", c->path);
  if (!encode(c)) return codec_fail(c, "cannot be made", e);
  return hl_disk_replace(c->path, c->out, c->used, e);
}

static bool is_drawable(const hl_desc *d) {
  const hl_shape *s = &d->shape;
  if (d->dtype != HL_U8 || s->rank < 2 || s->rank > 3) return false;
  if (s->rank == 3 && (s->dim[2] < 1 || s->dim[2] > 4)) return false;
  return s->dim[0] >= 1 && s->dim[1] >= 1 && s->dim[0] <= HL_PNG_MOST && s->dim[1] <= HL_PNG_MOST;
}

hl_status hl_png_write(const char *path, hl_tensor *t, hl_err *e) {
  const hl_desc *d = hl_tensor_desc(t);
  if (!is_drawable(d)) {
    char text[HL_DESC_TEXT];
    return hl_fail(e, HL_ESHAPE,
                   "%s: a PNG image is u8[y,x] or u8[y,x,1 to 4] up to %d pixels, not %s", path,
                   HL_PNG_MOST, hl_desc_text(d, text));
  }
  hl_tensor *dense;
  HL_TRY(hl_tensor_dense(&dense, t, HL_U8, HL_PLAIN, e));
  codec c = {.path = path,
             .height = d->shape.dim[0],
             .width = d->shape.dim[1],
             .channels = d->shape.rank == 3 ? d->shape.dim[2] : 1};
  hl_status status = write_image(&c, hl_tensor_u8(dense), e);
  if (c.png != NULL) png_destroy_write_struct(&c.png, &c.info);
  hl_host_free(c.rows);
  hl_host_free(c.out);
  hl_tensor_unref(dense);
  return status;
}
