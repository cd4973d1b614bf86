/* Chains of elementwise calls. A stretch goes through all links before the next one begins: what
 * passes between links stays in the first-level cache and needs no memory of its own. */
#include "strided.h"

typedef struct job {
  const hl_chain *chain;
  hl_walk walk[HL_CHAIN_OPERANDS];
  const float *data[HL_CHAIN_OPERANDS];
  float *result[HL_CHAIN_LINKS]; /* of each link; NULL: it passes on only */
  int buffer[HL_CHAIN_LINKS];    /* where what passes on lies */
  int buffers;
} job;

hl_stretch hl_call_stretch(const hl_call *c) {
  const hl_kernel *k = hl_op_cpu(c->op);
  if (k == NULL || c->n_in > HL_LINK_INPUTS || c->n_out != 1) return NULL;
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i].dtype != HL_F32) return NULL;
  return c->out[0].dtype == HL_F32 ? k->stretch : NULL;
}

/* ---- buffers ---- */

static int last_reader(const hl_chain *c, int link) {
  int last = link;
  for (int i = link + 1; i < c->n_links; i++)
    for (int k = 0; k < c->link[i].n_in; k++)
      if (c->link[i].in[k] == link) last = i;
  return last;
}

/* May link i write where what link `from` passes on lies? Later links must not read it, and link i
 * itself only by one input that the op lets it take over. */
static bool is_free(const hl_chain *c, int from, int i) {
  if (last_reader(c, from) < i) return true;
  if (last_reader(c, from) > i) return false;
  int uses = 0, input = 0;
  for (int k = 0; k < c->link[i].n_in; k++)
    if (c->link[i].in[k] == from) {
      uses++;
      input = k;
    }
  return uses == 1 && (c->link[i].op->inplace >> input & 1U) != 0;
}

static int choose_buffer(const job *j, int i) {
  for (int b = 0; b < j->buffers; b++) {
    bool free = true;
    for (int from = 0; from < i && free; from++)
      if (j->buffer[from] == b) free = is_free(j->chain, from, i);
    if (free) return b;
  }
  return j->buffers;
}

static void place_links(job *j, hl_tensor *const *result) {
  const hl_chain *c = j->chain;
  for (int i = 0; i < c->n_links; i++) {
    j->buffer[i] = -1;
    if (c->link[i].result >= 0) {
      j->result[i] = hl_tensor_f32(result[c->link[i].result]);
      continue;
    }
    j->buffer[i] = choose_buffer(j, i);
    if (j->buffer[i] == j->buffers) j->buffers++;
  }
}

/* One block for all operands: a multiple of every period that is not too long. Periods are products
 * of the innermost sizes, so that the longest is a multiple of the others. */
static int64_t open_operands(job *j, hl_tensor *const *operand) {
  const hl_chain *c = j->chain;
  int64_t longest = 1;
  for (int k = 0; k < c->n_operands; k++) {
    const hl_desc *const one[] = {&c->operand[k]};
    hl_walk *w = &j->walk[k];
    hl_walk_make(w, &c->desc, 1, one);
    j->data[k] = hl_tensor_f32(operand[k]);
    if (w->period[0] <= HL_BLOCK) longest = hl_max_i64(longest, w->period[0]);
  }
  int64_t block = HL_BLOCK / longest * longest;
  for (int k = 0; k < c->n_operands; k++) j->walk[k].block = block;
  return block;
}

/* ---- stretches ---- */

static void run_links(const job *j, const float *const *operand, float (*passing)[HL_BLOCK],
                      int64_t begin, int64_t n) {
  const hl_chain *c = j->chain;
  const float *given[HL_CHAIN_LINKS];
  for (int i = 0; i < c->n_links; i++) {
    const hl_link *l = &c->link[i];
    const float *in[HL_LINK_INPUTS];
    for (int k = 0; k < l->n_in; k++)
      in[k] = l->in[k] >= 0 ? given[l->in[k]] : operand[-1 - l->in[k]];
    float *y = j->result[i] != NULL ? j->result[i] + begin : passing[j->buffer[i]];
    l->run(l->attrs, in, y, n);
    given[i] = y;
  }
}

static void range(int64_t begin, int64_t end, void *ctx) {
  const job *j = ctx;
  const hl_chain *c = j->chain;
  hl_reader reader[HL_CHAIN_OPERANDS];
  _Alignas(64) float passing[HL_CHAIN_LINKS][HL_BLOCK];
  for (int k = 0; k < c->n_operands; k++) hl_reader_open(&reader[k], &j->walk[k], 0, j->data[k]);
  int64_t block = j->walk[0].block;
  for (int64_t i = begin; i < end; i += block) {
    int64_t n = hl_min_i64(block, end - i);
    const float *operand[HL_CHAIN_OPERANDS];
    for (int k = 0; k < c->n_operands; k++) operand[k] = hl_reader_get(&reader[k], i, n);
    run_links(j, operand, passing, i, n);
  }
}

void hl_chain_run(const hl_chain *c, hl_tensor *const *operand, hl_tensor *const *result) {
  job j = {.chain = c};
  place_links(&j, result);
  int64_t block = open_operands(&j, operand);
  hl_parallel_for(hl_shape_numel(&c->desc.shape), HL_GRAIN / block * block, range, &j);
}
