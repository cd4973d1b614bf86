/* engine/core: errors, ledger, random numbers, hashes, compute threads. */
#define TAP_LEDGER
#include "tap.h"

#include <hilum/hash.h>
#include <hilum/parallel.h>
#include <hilum/rng.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- errors ---- */

static void test_status(void) {
  hl_err e = {0};
  is_int(hl_fail(&e, HL_ESHAPE, "%d channels, expected %d", 3, 4), HL_ESHAPE, "hl_fail gives code");
  is_str(e.msg, "3 channels, expected 4", "the message is formatted");
  ok(e.line > 0 && strstr(e.file, "test_core") != NULL, "file and line are kept");

  is_int(hl_fail(&e, HL_EIO, "later"), HL_EIO, "a second failure gives its own code");
  ok(e.code == HL_ESHAPE && strstr(e.msg, "later") == NULL, "the first cause wins");
  is_int(hl_fail(NULL, HL_EIO, "nobody listens"), HL_EIO, "an error may be unwanted");
  is_int(hl_err_prefix(NULL, HL_EIO, "x"), HL_EIO, "so may its prefix");

  is_int(hl_err_prefix(&e, HL_ESHAPE, "conv[%d]", 2), HL_ESHAPE, "a prefix keeps the code");
  hl_err_prefix(&e, HL_ESHAPE, "model");
  is_str(e.msg, "model: conv[2]: 3 channels, expected 4", "outermost first");

  hl_err odd = {0};
  hl_fail(&odd, HL_EIO, "%s", "a\nname\x1b[2J");
  is_str(odd.msg, "a name [2J", "control characters of a name become blanks");
  hl_err_prefix(&odd, HL_EIO, "in\r");
  is_str(odd.msg, "in : a name [2J", "in a prefix too");

  is_str(hl_status_name(HL_OK), "ok", "name of HL_OK");
  for (int code = HL_OK; code <= HL_EINTERNAL; code++)
    ok(strcmp(hl_status_name((hl_status)code), "unknown") != 0, "status %d has a name", code);
  is_str(hl_status_name((hl_status)99), "unknown", "a number that is no status");
  ok(hl_version()[0] >= '0' && hl_version()[0] <= '9', "version %s", hl_version());
}

static void test_status_truncation(void) {
  char text[2000];
  memset(text, 'x', sizeof text);
  text[sizeof text - 1] = '\0';

  hl_err e = {0};
  hl_fail(&e, HL_EIO, "%s", text);
  is_int(strlen(e.msg), sizeof e.msg - 1, "a long message is cut");

  hl_err_prefix(&e, HL_EIO, "where");
  is_int(strlen(e.msg), sizeof e.msg - 1, "with a prefix it is cut at the same place");
  ok(strncmp(e.msg, "where: xxx", 10) == 0, "and begins with the prefix");

  hl_err_prefix(&e, HL_EIO, "%s", text);
  ok(strncmp(e.msg, "where: xxx", 10) == 0, "a prefix longer than the message buffer is left out");
  for (size_t n = sizeof e.msg / 2; n < sizeof e.msg + 2; n++) {
    memset(&e, 0, sizeof e);
    hl_fail(&e, HL_EIO, "the cause");
    hl_err_prefix(&e, HL_EIO, "%.*s", (int)n, text);
    if (strstr(e.msg, "the cause") == NULL) {
      ok(false, "a prefix of %zu bytes keeps the cause", n);
      return;
    }
  }
  ok(true, "no prefix is long enough to push the cause out");
}

/* ---- random numbers ---- */

typedef struct philox_case {
  uint32_t counter[4], key[2], expected[4];
} philox_case;

/* Known answers of Random123 (kat_vectors, philox4x32 with 10 rounds). */
static const philox_case philox_cases[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void test_philox(void) {
  for (size_t i = 0; i < sizeof philox_cases / sizeof *philox_cases; i++) {
    const philox_case *c = &philox_cases[i];
    uint32_t got[4];
    hl_philox4x32(c->counter, c->key, got);
    for (int w = 0; w < 4; w++) is_int(got[w], c->expected[w], "Philox vector %zu, word %d", i, w);
  }
}

static void test_streams(void) {
  hl_rng a = hl_rng_stream(7, "augment", 2, 5), b = hl_rng_stream(7, "augment", 2, 5);
  bool same = true;
  for (int i = 0; i < 100; i++) same = same && hl_rng_u32(&a) == hl_rng_u32(&b);
  ok(same, "a stream is named by seed, purpose, epoch and item");

  const hl_rng others[] = {
      hl_rng_stream(8, "augment", 2, 5), hl_rng_stream(7 + (1ULL << 32), "augment", 2, 5),
      hl_rng_stream(7, "init", 2, 5),    hl_rng_stream(7, "augment", 3, 5),
      hl_rng_stream(7, "augment", 2, 6),
  };
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    a = hl_rng_stream(7, "augment", 2, 5);
    b = others[i];
    int equal = 0;
    for (int k = 0; k < 100; k++) equal += hl_rng_u32(&a) == hl_rng_u32(&b);
    is_int(equal, 0, "another name is another stream (%zu)", i);
  }

  uint32_t block[4];
  const uint32_t counter[4] = {1, a.counter[1], 2, 5}, key[2] = {7, 0};
  hl_philox4x32(counter, key, block);
  a = hl_rng_stream(7, "augment", 2, 5);
  for (int k = 0; k < 6; k++) hl_rng_u32(&a);
  is_int(hl_rng_u32(&a), block[2], "the seventh word is word 2 of block 1");
}

static void test_distributions(void) {
  enum { DRAWS = 200000, FACES = 7 };
  hl_rng r = hl_rng_stream(1, "test", 0, 0);
  double sum = 0.0, low = 1.0, high = 0.0;
  for (int i = 0; i < DRAWS; i++) {
    double u = hl_rng_uniform(&r);
    sum += u;
    if (u < low) low = u;
    if (u > high) high = u;
  }
  ok(low >= 0.0 && high < 1.0, "uniform draws lie in [0, 1)");
  is_near(sum / DRAWS, 0.5, 0.0033, "their mean (5 sigma)");

  double first = 0.0, second = 0.0, fourth = 0.0;
  for (int i = 0; i < DRAWS; i++) {
    double x = hl_rng_normal(&r);
    first += x;
    second += x * x;
    fourth += x * x * x * x;
  }
  is_near(first / DRAWS, 0.0, 0.0112, "normal draws: mean");
  is_near(second / DRAWS, 1.0, 0.0159, "normal draws: variance");
  is_near(fourth / DRAWS, 3.0, 0.11, "normal draws: fourth moment");

  int count[FACES] = {0};
  for (int i = 0; i < DRAWS; i++) {
    uint32_t v = hl_rng_below(&r, FACES);
    if (v < FACES) count[v]++;
  }
  double chi2 = 0.0, expected = (double)DRAWS / FACES;
  for (int i = 0; i < FACES; i++)
    chi2 += ((double)count[i] - expected) * ((double)count[i] - expected) / expected;
  ok(chi2 < 22.5, "below(7) is even (chi squared %.2f, 6 degrees of freedom, p > 0.001)", chi2);
  is_int(hl_rng_below(&r, 1), 0, "below(1) is 0");
  bool in_range = true, upper = false;
  for (int i = 0; i < 1000; i++) {
    uint32_t v = hl_rng_below(&r, 0xC0000000U); /* a quarter of all words is rejected */
    in_range = in_range && v < 0xC0000000U;
    upper = upper || v >= 0x80000000U;
  }
  ok(in_range && upper, "below() with a bound near 2^32");
}

/* ---- hashes ---- */

static void is_sha256(const char *text, const char *expected) {
  hl_err e = {0};
  char got[HL_HASH_TEXT] = "";
  succeeds(hl_hash_bytes(text, strlen(text), got, &e), &e, "SHA-256 of %zu bytes", strlen(text));
  is_str(got, expected, "its value");
}

static void test_hash(void) {
  /* FIPS 180-4 examples. */
  is_sha256("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  is_sha256("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  is_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");

  /* A million times "a", in pieces that do not divide it, then again from a file. */
  const char *million = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
  char piece[777], got[HL_HASH_TEXT];
  memset(piece, 'a', sizeof piece);
  char path[] = "hash-XXXXXX";
  int fd = mkstemp(path);
  ok(fd >= 0, "a temporary file");
  hl_err e = {0};
  hl_hash *h = NULL;
  succeeds(hl_hash_new(&h, &e), &e, "a hash object");
  bool fine = true;
  for (size_t left = 1000000; left > 0;) {
    size_t n = left < sizeof piece ? left : sizeof piece;
    fine = fine && hl_hash_add(h, piece, n, &e) == HL_OK && write(fd, piece, n) == (ssize_t)n;
    left -= n;
  }
  close(fd);
  ok(fine, "a million letters in pieces");
  succeeds(hl_hash_text(h, got, &e), &e, "finish");
  is_str(got, million, "the same value as at once");
  fails(hl_hash_add(h, piece, 1, &e), HL_EINTERNAL, &e, "", "a finished hash takes nothing more");
  fails(hl_hash_text(h, got, &e), HL_EINTERNAL, &e, "", "and is not finished twice");
  is_str(got, million, "what it gave stays");
  hl_hash_free(h);
  hl_hash_free(NULL);

  succeeds(hl_hash_file(path, got, &e), &e, "hash of a file");
  is_str(got, million, "the file's value");
  unlink(path);
  fails(hl_hash_file(path, got, &e), HL_EIO, &e, path, "a missing file is named");
  fails(hl_hash_file(".", got, &e), HL_EIO, &e, ".: ", "a folder is no file");
}

/* ---- ledger ---- */

static void test_ledger(void) {
  hl_err e = {0};
  hl_ledger *l = hl_ledger_main();
  ok(!hl_ledger_is_counting(l), "the main ledger hands out memory");
  hl_ledger_reset_peak(l);
  is_int(hl_ledger_live(l, HL_MEM_CATEGORIES), 0, "nothing is live at the start");

  void *a, *b, *c;
  succeeds(hl_mem_alloc(l, &a, 1000, HL_MEM_STATE, "a", &e), &e, "1000 bytes of state");
  ok(a != NULL && (uintptr_t)a % 64 == 0, "aligned to 64 bytes");
  succeeds(hl_mem_alloc(l, &b, 500, HL_MEM_WORKSPACE, "b", &e), &e, "500 bytes of workspace");
  memset(a, 1, 1000);
  memset(b, 2, 500);
  is_int(hl_ledger_live(l, HL_MEM_STATE), 1000, "live: state");
  is_int(hl_ledger_live(l, HL_MEM_WORKSPACE), 500, "live: workspace");
  is_int(hl_ledger_live(l, HL_MEM_CATEGORIES), 1500, "live: all");
  is_str(hl_ledger_peak_label(l), "b", "what made the peak");

  hl_mem_free(l, a, 1000, HL_MEM_STATE);
  succeeds(hl_mem_alloc(l, &c, 900, HL_MEM_WORKSPACE, "c", &e), &e, "900 more");
  is_int(hl_ledger_live(l, HL_MEM_CATEGORIES), 1400, "live after a release");
  is_int(hl_ledger_peak(l, HL_MEM_CATEGORIES), 1500, "the overall peak stays");
  is_int(hl_ledger_peak(l, HL_MEM_STATE), 1000, "peak of state");
  is_int(hl_ledger_peak(l, HL_MEM_WORKSPACE), 1400, "peak of workspace");
  is_int(hl_ledger_at_peak(l, HL_MEM_WORKSPACE), 500, "workspace at the overall peak");
  is_int(hl_ledger_at_peak(l, HL_MEM_STATE), 1000, "state at the overall peak");
  hl_ledger_reset_peak(l);
  is_int(hl_ledger_peak(l, HL_MEM_CATEGORIES), 1400, "a reset starts from what is live");
  is_str(hl_ledger_peak_label(l), "", "and forgets the label");
  hl_mem_free(l, b, 500, HL_MEM_WORKSPACE);
  hl_mem_free(l, c, 900, HL_MEM_WORKSPACE);
  hl_mem_free(l, NULL, 77, HL_MEM_DATA);
  is_int(hl_ledger_live(l, HL_MEM_DATA), 0, "releasing NULL counts nothing");

  succeeds(hl_mem_alloc(l, &a, 0, HL_MEM_DATA, "nothing", &e), &e, "0 bytes");
  ok(a != NULL, "0 bytes are a valid block");
  hl_mem_free(l, a, 0, HL_MEM_DATA);

  is_str(hl_category_name(HL_MEM_STATE), "state", "name of a category");
  is_str(hl_category_name(HL_MEM_CATEGORIES), "all", "name of the sum");
  is_str(hl_category_name((hl_category)42), "?", "a number that is no category");
}

static void test_ledger_limits(void) {
  hl_err e = {0};
  hl_ledger *l = hl_ledger_main();
  void *a, *b = &a;
  hl_ledger_set_limit(l, 4096);
  succeeds(hl_mem_alloc(l, &a, 4000, HL_MEM_STATE, "x", &e), &e, "within the limit");
  fails(hl_mem_alloc(l, &b, 97, HL_MEM_STATE, "level[2].state", &e), HL_ENOMEM, &e,
        "level[2].state", "beyond the limit: the message names what did not fit");
  ok(b == NULL, "and the pointer is NULL");
  is_int(hl_ledger_live(l, HL_MEM_STATE), 4000, "a refusal is not booked");
  succeeds(hl_mem_alloc(l, &b, 96, HL_MEM_STATE, "y", &e), &e, "exactly up to the limit");
  hl_mem_free(l, b, 96, HL_MEM_STATE);
  hl_ledger_set_limit(l, 0);

  const size_t huge[] = {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX - 4000, SIZE_MAX / 2};
  for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
    b = &a;
    fails(hl_mem_alloc(l, &b, huge[i], HL_MEM_STATE, "huge", &e), HL_ENOMEM, &e, "huge",
          "%zu bytes are refused", huge[i]);
    ok(b == NULL, "pointer is NULL");
  }
  is_int(hl_ledger_live(l, HL_MEM_CATEGORIES), 4000, "refusals left no trace");
  hl_mem_free(l, a, 4000, HL_MEM_STATE);
}

static void test_ledger_counting(void) {
  hl_err e = {0};
  hl_ledger *l = NULL;
  succeeds(hl_ledger_new_counting(&l, &e), &e, "a counting ledger");
  ok(hl_ledger_is_counting(l), "says so");
  void *p = &e;
  const size_t tib = (size_t)1 << 40;
  succeeds(hl_mem_alloc(l, &p, tib, HL_MEM_STATE, "much", &e), &e, "counts a TiB");
  ok(p == NULL, "without memory");
  is_int(hl_ledger_live(l, HL_MEM_STATE), tib, "but it is booked");
  is_int(hl_ledger_live(hl_ledger_main(), HL_MEM_STATE), 0, "not in the main ledger");
  hl_mem_free(l, p, tib, HL_MEM_STATE);
  is_int(hl_ledger_live(l, HL_MEM_STATE), 0, "and released");
  is_int(hl_ledger_peak(l, HL_MEM_CATEGORIES), tib, "the peak is kept");
  hl_ledger_set_limit(l, 100);
  fails(hl_mem_alloc(l, &p, 101, HL_MEM_DATA, "z", &e), HL_ENOMEM, &e, "z", "limits count too");
  hl_ledger_free(l);
  hl_ledger_free(NULL);
  hl_ledger_free(hl_ledger_main());
  is_int(hl_ledger_live(hl_ledger_main(), HL_MEM_DATA), 0, "the main ledger cannot be freed");
}

static long resident_bytes(void) {
  FILE *f = fopen("/proc/self/statm", "r");
  long total = 0, resident = -1;
  if (f == NULL || fscanf(f, "%ld %ld", &total, &resident) != 2) resident = -1;
  if (f != NULL) fclose(f);
  return resident < 0 ? -1 : resident * sysconf(_SC_PAGESIZE);
}

/* Large blocks are kept for reuse, but the process never holds more than the ledger's peak. */
static void test_large_blocks(void) {
  enum { ROUNDS = 400, MIB = 1 << 20 };
  hl_err e = {0};
  hl_ledger *l = hl_ledger_main();
  hl_ledger_reset_peak(l);
  const long before = resident_bytes();
  unsigned char *previous = NULL;
  size_t previous_bytes = 0;
  int bad = 0, refused = 0;
  for (int i = 0; i < ROUNDS; i++) {
    size_t bytes = (size_t)(1 + i * 7 % 13) * MIB + (size_t)(i % 3) * 1000;
    unsigned char *p = NULL;
    refused += hl_mem_alloc(l, (void **)&p, bytes, HL_MEM_STATE, "block", &e) != HL_OK;
    if (p == NULL) break;
    memset(p, i & 255, bytes);
    if (previous != NULL) {
      bad += previous[0] != ((i - 1) & 255) || previous[previous_bytes - 1] != ((i - 1) & 255);
      hl_mem_free(l, previous, previous_bytes, HL_MEM_STATE);
    }
    previous = p;
    previous_bytes = bytes;
  }
  is_int(refused, 0, "large blocks of many sizes");
  is_int(bad, 0, "no live block is handed out twice");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const bool measurable = false; /* a sanitizer holds memory of its own */
#else
  const bool measurable = before >= 0;
#endif
  long peak = (long)hl_ledger_peak(l, HL_MEM_CATEGORIES), grown = resident_bytes() - before;
  if (measurable)
    ok(grown <= peak + MIB, "resident memory grew by %ld KiB, the peak is %ld KiB", grown / 1024,
       peak / 1024);
  else
    tap_skip(1, "resident memory cannot be told here");
  hl_mem_free(l, previous, previous_bytes, HL_MEM_STATE);
  hl_ledger_reset_peak(l);
}

/* A block that is worth keeping is not given up for a small one: fresh memory would be zero. */
static void test_largest_block_is_kept(void) {
#if defined(__SANITIZE_ADDRESS__)
  tap_skip(2, "the sanitizer's allocator keeps nothing");
#else
  enum { MIB = 1 << 20, SMALL = 100000 };
  hl_err e = {0};
  hl_ledger *l = hl_ledger_main();
  hl_ledger_reset_peak(l);
  void *large = NULL, *medium = NULL, *small = NULL;
  bool all = hl_mem_alloc(l, &medium, MIB, HL_MEM_STATE, "medium", &e) == HL_OK &&
             hl_mem_alloc(l, &large, 8 * MIB, HL_MEM_STATE, "large", &e) == HL_OK;
  if (all) *(int *)large = 42;
  hl_mem_free(l, large, 8 * MIB, HL_MEM_STATE);
  all = all && hl_mem_alloc(l, &small, SMALL, HL_MEM_STATE, "small", &e) == HL_OK;
  hl_mem_free(l, medium, MIB, HL_MEM_STATE); /* does not fit beside the large one */
  all = all && hl_mem_alloc(l, &large, 8 * MIB, HL_MEM_STATE, "large again", &e) == HL_OK;
  ok(all, "blocks of three sizes");
  is_int(all ? *(int *)large : 0, 42, "the largest one was kept");
  hl_mem_free(l, large, 8 * MIB, HL_MEM_STATE);
  hl_mem_free(l, small, SMALL, HL_MEM_STATE);
  hl_ledger_reset_peak(l);
#endif
}

static void test_failure_injection(void) {
  hl_err e = {0};
  hl_ledger *l = hl_ledger_main();
  void *p, *q;
  hl_test_fail_after(1);
  succeeds(hl_mem_alloc(l, &p, 10, HL_MEM_DATA, "p", &e), &e, "one allocation is left");
  fails(hl_mem_alloc(l, &q, 10, HL_MEM_DATA, "q", &e), HL_ENOMEM, &e, "q", "the next one fails");
  ok(q == NULL, "with a NULL pointer");
  ok(hl_host_calloc(1, 8) == NULL, "so does calloc");
  ok(hl_host_realloc(NULL, 8) == NULL, "and realloc");
  ok(hl_host_strdup("x") == NULL, "and strdup");
  hl_ledger *counting = NULL;
  fails(hl_ledger_new_counting(&counting, &e), HL_ENOMEM, &e, "", "and a new ledger");
  hl_hash *h = NULL;
  fails(hl_hash_new(&h, &e), HL_ENOMEM, &e, "", "and a new hash");
  ok(h == NULL && counting == NULL, "nothing is owned");
  is_int(hl_test_fail_after(-1), 7, "switching off tells how many there were");
  hl_mem_free(l, p, 10, HL_MEM_DATA);

  unsigned char *zeros = hl_host_calloc(3, 5);
  bool clean = zeros != NULL;
  for (int i = 0; clean && i < 15; i++) clean = zeros[i] == 0;
  ok(clean, "host memory is zeroed");
  unsigned char *more = hl_host_realloc(zeros, 100);
  ok(more != NULL, "and grows");
  hl_host_free(more);
  char *copy = hl_host_strdup("hilum");
  is_str(copy, "hilum", "strdup");
  hl_host_free(copy);
  ok(hl_host_calloc(SIZE_MAX, 2) == NULL, "a product that overflows is refused");
}

/* ---- compute threads ---- */

typedef struct coverage {
  atomic_int *hits;
  int64_t n, grain;
  atomic_bool bad; /* a chunk that is not [k·grain, min((k+1)·grain, n)) */
} coverage;

static void cover(int64_t begin, int64_t end, void *ctx) {
  coverage *c = ctx;
  int64_t grain = c->grain < 1 ? 1 : c->grain;
  int64_t expected = c->n - begin <= grain ? c->n : begin + grain;
  if (begin < 0 || begin % grain != 0 || end != expected) {
    atomic_store(&c->bad, true);
    return;
  }
  for (int64_t i = begin; i < end; i++) atomic_fetch_add(&c->hits[i], 1);
}

static bool covered(int64_t n, int64_t grain) {
  coverage c = {.n = n, .grain = grain};
  c.hits = calloc(n > 0 ? (size_t)n : 1, sizeof *c.hits);
  hl_parallel_for(n, grain, cover, &c);
  int64_t wrong = 0;
  for (int64_t i = 0; i < n; i++) wrong += c.hits[i] != 1;
  free(c.hits);
  return wrong == 0 && !c.bad;
}

static void test_parallel(void) {
  const int64_t sizes[] = {-3, 0, 1, 2, 7, 8, 9, 100, 1000};
  const int64_t grains[] = {-1, 0, 1, 2, 3, 8, 1000, INT64_MAX / 2, INT64_MAX};
  const int before = hl_compute_threads();
  ok(before >= 1, "%d compute threads", before);
  for (int threads = 1; threads <= 3; threads += 2) {
    hl_set_compute_threads(threads);
    for (size_t k = 0; k < sizeof grains / sizeof *grains; k++) {
      int bad = 0;
      for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        bad += !covered(sizes[i], grains[k]);
      is_int(bad, 0, "%d threads, grain %jd: each index once, in fixed chunks", threads,
             (intmax_t)grains[k]);
    }
  }

  hl_set_compute_threads(-5);
  is_int(hl_compute_threads(), 1, "at least one thread");
  hl_set_compute_threads(1 << 20);
  ok(hl_compute_threads() < 1 << 20, "at most as many as there are processors");
  hl_set_compute_threads(before);

  ok(!hl_cancel_requested(), "nobody asked to stop");
  hl_cancel_request();
  ok(hl_cancel_requested(), "now somebody did");
  hl_cancel_clear();
  ok(!hl_cancel_requested(), "and took it back");
}

int main(void) {
  test_status();
  test_status_truncation();
  test_philox();
  test_streams();
  test_distributions();
  test_hash();
  test_ledger();
  test_ledger_limits();
  test_ledger_counting();
  test_large_blocks();
  test_largest_block_is_kept();
  test_failure_injection();
  test_parallel();
  return tap_done();
}
