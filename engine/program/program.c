/* Recording: values, ops, places in the model, invertible blocks. */
#include "internal.h"

#include <stdio.h>
#include <string.h>

hl_status hl_reserve(void **array, int count, int *cap, size_t size, hl_err *e) {
  if (count < *cap) return HL_OK;
  int wanted = *cap < 16 ? 16 : *cap * 2;
  void *grown = hl_host_realloc(*array, (size_t)wanted * size);
  if (grown == NULL) return hl_fail(e, HL_ENOMEM, "no memory to record a longer program");
  *array = grown;
  *cap = wanted;
  return HL_OK;
}

hl_status hl_at_scope(const hl_program *p, int32_t scope, hl_status code, hl_err *e) {
  const char *path = p->scopes[scope].path;
  return path[0] == '\0' ? code : hl_err_prefix(e, code, "%s", path);
}

void hl_node_call(const hl_program *p, const node *n, hl_call *c) {
  c->op = n->op;
  c->attrs = n->attrs;
  c->n_in = n->n_in;
  c->n_out = n->n_out;
  for (int i = 0; i < n->n_in; i++) c->in[i] = p->vars[n->in[i]].desc;
  for (int i = 0; i < n->n_out; i++) c->out[i] = p->vars[n->out[i]].desc;
}

hl_status hl_program_new(hl_program **out, bool live, hl_err *e) {
  *out = NULL;
  hl_program *p = hl_host_calloc(1, sizeof *p);
  if (p == NULL) return hl_fail(e, HL_ENOMEM, "no memory for a program");
  p->live = live;
  p->open_block = -1;
  hl_status s = hl_reserve((void **)&p->scopes, 0, &p->cap_scopes, sizeof *p->scopes, e);
  if (s == HL_OK && (p->scopes[0] = (place){hl_host_strdup(""), 0, 0}).path == NULL)
    s = hl_fail(e, HL_ENOMEM, "no memory for a program");
  if (s != HL_OK) {
    hl_program_free(p);
    return s;
  }
  p->n_scopes = 1;
  *out = p;
  return HL_OK;
}

void hl_program_free(hl_program *p) {
  if (p == NULL) return;
  for (int i = 0; i < p->n_vars; i++) {
    hl_tensor_unref(p->vars[i].tensor);
    hl_tensor_unref(p->vars[i].view);
    hl_host_free(p->vars[i].name);
  }
  for (int i = 0; i < p->n_nodes; i++) {
    hl_host_free(p->nodes[i].attrs);
    hl_host_free(p->nodes[i].in);
  }
  for (int i = 0; i < p->n_blocks; i++) {
    hl_host_free(p->blocks[i].in);
    hl_host_free(p->blocks[i].out);
  }
  for (int i = 0; i < p->n_scopes; i++) hl_host_free(p->scopes[i].path);
  hl_host_free(p->vars);
  hl_host_free(p->nodes);
  hl_host_free(p->blocks);
  hl_host_free(p->again);
  hl_host_free(p->scopes);
  hl_tensor_unref(p->arena);
  hl_host_free(p->values);
  hl_host_free(p->chains);
  hl_host_free(p->slots);
  hl_host_free(p->inputs);
  hl_host_free(p->outputs);
  hl_host_free(p);
}

bool hl_program_is_live(const hl_program *p) {
  return p->live;
}

/* ---- places in the model ---- */

hl_status hl_program_enter(hl_program *p, const char *name, hl_err *e) {
  HL_TRY(hl_reserve((void **)&p->scopes, p->n_scopes, &p->cap_scopes, sizeof *p->scopes, e));
  const char *outer = p->scopes[p->scope].path;
  size_t size = strlen(outer) + strlen(name) + 2;
  char *path = hl_host_calloc(size, 1);
  if (path == NULL) return hl_fail(e, HL_ENOMEM, "no memory for the name '%s'", name);
  snprintf(path, size, "%s%s%s", outer, outer[0] == '\0' || name[0] == '[' ? "" : ".", name);
  p->scopes[p->n_scopes] = (place){path, p->scope, 0};
  p->scope = p->n_scopes++;
  return HL_OK;
}

void hl_program_leave(hl_program *p) {
  p->scope = p->scopes[p->scope].outer;
}

/* ---- values ---- */

hl_status hl_add_var(hl_program *p, var_kind kind, const hl_desc *like, hl_var *out, hl_err *e) {
  hl_desc d = *like; /* it may lie in the array that grows */
  HL_TRY(hl_reserve((void **)&p->vars, p->n_vars, &p->cap_vars, sizeof *p->vars, e));
  variable *v = &p->vars[p->n_vars];
  memset(v, 0, sizeof *v);
  v->desc = d;
  v->kind = kind;
  v->category = HL_MEM_STATE;
  v->scope = p->scope;
  v->last_use = -1;
  v->slot = -1;
  v->heir_to = HL_NO_VAR;
  *out = p->n_vars++;
  return HL_OK;
}

static hl_status open_for_change(const hl_program *p, hl_err *e) {
  if (p->finished)
    return hl_fail(e, HL_EINVAL, "the program is finished: nothing can be added to it");
  return HL_OK;
}

static hl_status name_var(hl_program *p, hl_var v, const char *name, hl_err *e) {
  p->vars[v].name = hl_host_strdup(name);
  if (p->vars[v].name == NULL) return hl_fail(e, HL_ENOMEM, "no memory for the name '%s'", name);
  return HL_OK;
}

hl_status hl_program_input(hl_program *p, const char *name, const hl_desc *d, hl_var *out,
                           hl_err *e) {
  *out = HL_NO_VAR;
  HL_TRY(open_for_change(p, e));
  if (p->live)
    return hl_fail(e, HL_EINVAL, "a tape has no inputs: bind the tensor '%s' to it", name);
  HL_TRY(hl_shape_check(&d->shape, d->dtype, e));
  HL_TRY(hl_reserve((void **)&p->inputs, p->n_inputs, &p->cap_inputs, sizeof *p->inputs, e));
  hl_var v;
  HL_TRY(hl_add_var(p, VAR_INPUT, d, &v, e));
  p->vars[v].category = HL_MEM_DATA;
  HL_TRY(name_var(p, v, name, e));
  p->inputs[p->n_inputs++] = v;
  *out = v;
  return HL_OK;
}

hl_status hl_program_bind(hl_program *p, const char *name, hl_tensor *t, bool trainable,
                          hl_var *out, hl_err *e) {
  *out = HL_NO_VAR;
  HL_TRY(open_for_change(p, e));
  if (!hl_tensor_is_dense(t))
    return hl_fail(e, HL_ETYPE, "'%s' is a strided view: bind a dense tensor", name);
  hl_var v;
  HL_TRY(hl_add_var(p, VAR_BOUND, hl_tensor_desc(t), &v, e));
  HL_TRY(name_var(p, v, name, e));
  p->vars[v].tensor = hl_tensor_ref(t);
  p->vars[v].trainable = trainable;
  *out = v;
  return HL_OK;
}

const hl_desc *hl_program_desc(const hl_program *p, hl_var v) {
  return v >= 0 && v < p->n_vars ? &p->vars[v].desc : NULL;
}

hl_tensor *hl_program_tensor(const hl_program *p, hl_var v) {
  return v >= 0 && v < p->n_vars ? p->vars[v].tensor : NULL;
}

hl_status hl_program_output(hl_program *p, hl_var v, hl_category c, hl_err *e) {
  HL_TRY(open_for_change(p, e));
  if (v < 0 || v >= p->n_vars) return hl_fail(e, HL_EINVAL, "there is no value %d to output", v);
  if (p->vars[v].kind == VAR_PLACEHOLDER)
    return hl_fail(e, HL_EINVAL, "a value of an inverse body cannot be an output");
  HL_TRY(hl_reserve((void **)&p->outputs, p->n_outputs, &p->cap_outputs, sizeof *p->outputs, e));
  p->outputs[p->n_outputs++] = v;
  p->vars[v].is_output = true;
  if (p->vars[v].kind == VAR_RESULT) p->vars[v].category = c;
  return HL_OK;
}

int hl_program_output_count(const hl_program *p) {
  return p->n_outputs;
}

/* ---- ops ---- */

hl_status hl_node_of(node *n, const hl_call *c, const hl_var *in, hl_err *e) {
  n->op = c->op;
  n->n_in = c->n_in;
  n->n_out = c->n_out;
  n->attrs = NULL;
  n->in = hl_host_calloc((size_t)(c->n_in + c->n_out), sizeof *n->in);
  if (c->op->attr_size > 0) n->attrs = hl_host_calloc(1, c->op->attr_size);
  if (n->in == NULL || (c->op->attr_size > 0 && n->attrs == NULL)) {
    hl_host_free(n->in);
    hl_host_free(n->attrs);
    return hl_fail(e, HL_ENOMEM, "no memory to record %s", c->op->name);
  }
  n->out = n->in + c->n_in;
  memcpy(n->in, in, (size_t)c->n_in * sizeof *in);
  if (c->op->attr_size > 0) memcpy(n->attrs, c->attrs, c->op->attr_size);
  return HL_OK;
}

static hl_status add_node(hl_program *p, const hl_call *c, const hl_var *in, node **out,
                          hl_err *e) {
  HL_TRY(hl_reserve((void **)&p->nodes, p->n_nodes, &p->cap_nodes, sizeof *p->nodes, e));
  node *n = &p->nodes[p->n_nodes];
  memset(n, 0, sizeof *n);
  n->scope = p->scope;
  n->inverse = p->inverting;
  n->backward = p->backward;
  n->block =
      p->open_block >= 0 && !p->inverting && p->blocks[p->open_block].rebuild ? p->open_block : -1;
  n->again = p->again_open && !p->inverting && !p->live ? p->n_again - 1 : -1;
  n->takes = -1;
  n->chain = -1;
  n->scratch = -1;
  HL_TRY(hl_node_of(n, c, in, e));
  p->n_nodes++; /* complete: from here on the program owns it */
  *out = n;
  return HL_OK;
}

/* Notes which elements of a tensor the tape has computed with; a gradient rule that reads it again
 * must find the same. */
static hl_status check_version(const hl_program *p, variable *v, hl_err *e) {
  uint64_t now = hl_tensor_version(v->tensor);
  char text[HL_DESC_TEXT];
  if (!v->used) v->version = now;
  v->used = true;
  if (!p->backward || v->version == now) return HL_OK;
  return hl_fail(e, HL_EINVAL,
                 "%s, %s, was changed in place after it was used, and the gradient needs its old "
                 "values: change a clone of it, or take the gradient first",
                 v->name != NULL ? v->name : "a result", hl_desc_text(&v->desc, text));
}

/* The tape's half: computes the node's results now. */
static hl_status run_now(hl_program *p, node *n, hl_call *c, hl_err *e) {
  hl_tensor *in[HL_MAX_ARGS], *out[HL_MAX_ARGS] = {0};
  for (int i = 0; i < n->n_in; i++) {
    in[i] = p->vars[n->in[i]].tensor;
    if (in[i] == NULL) return hl_fail(e, HL_EINVAL, "input %d holds no values", i + 1);
    HL_TRY(check_version(p, &p->vars[n->in[i]], e));
  }
  hl_status s = HL_OK;
  for (int i = 0; i < n->n_out && s == HL_OK; i++)
    s = hl_tensor_new(&out[i], &c->out[i], hl_ledger_main(), HL_MEM_STATE, n->op->name, e);
  if (s == HL_OK) s = hl_call_run(c, in, out, e);
  for (int i = 0; i < n->n_out; i++) {
    if (s != HL_OK) {
      hl_tensor_unref(out[i]);
      continue;
    }
    variable *v = &p->vars[n->out[i]];
    v->tensor = out[i];
    v->used = true;
    v->version = hl_tensor_version(out[i]);
  }
  return s;
}

static hl_status emit(hl_program *p, const hl_op *op, const void *attrs, int n_in, const hl_var *in,
                      int n_out, hl_var *out, hl_err *e) {
  HL_TRY(open_for_change(p, e));
  if (n_in > HL_MAX_ARGS) return hl_fail(e, HL_EINVAL, "%s: too many inputs (%d)", op->name, n_in);
  hl_call c = {.op = op, .attrs = attrs, .n_in = n_in};
  for (int i = 0; i < n_in; i++) {
    const hl_desc *d = hl_program_desc(p, in[i]);
    if (d == NULL)
      return hl_fail(e, HL_EINVAL, "%s: input %d is not a value of this program", op->name, i + 1);
    c.in[i] = *d;
  }
  HL_TRY(hl_call_shape(&c, e));
  if (c.n_out != n_out)
    return hl_fail(e, HL_EINTERNAL, "%s gives %d results, %d were expected", op->name, c.n_out,
                   n_out);
  node *n = NULL;
  HL_TRY(add_node(p, &c, in, &n, e));
  c.attrs = n->attrs;
  for (int i = 0; i < n_out; i++) {
    HL_TRY(hl_add_var(p, VAR_RESULT, &c.out[i], &n->out[i], e));
    out[i] = n->out[i];
  }
  return p->live && !p->inverting ? run_now(p, n, &c, e) : HL_OK;
}

hl_status hl_emit(hl_program *p, const hl_op *op, const void *attrs, int n_in, const hl_var *in,
                  int n_out, hl_var *out, hl_err *e) {
  for (int i = 0; i < n_out; i++) out[i] = HL_NO_VAR;
  void *defaults = NULL;
  hl_status s = HL_OK;
  if (attrs == NULL && op->attr_size > 0) {
    defaults = hl_host_calloc(1, op->attr_size);
    if (defaults == NULL) return hl_fail(e, HL_ENOMEM, "no memory to record %s", op->name);
    s = hl_attrs_parse(op, NULL, defaults, e);
    attrs = defaults;
  }
  if (s == HL_OK) s = emit(p, op, attrs, n_in, in, n_out, out, e);
  hl_host_free(defaults);
  return s == HL_OK ? HL_OK : hl_at_scope(p, p->scope, s, e);
}

/* ---- invertible blocks ---- */

/* A custom op's outputs are made by its own ops: else its gradient would not be asked for. */
static hl_status check_own(const hl_program *p, const block *b, int n, const hl_var *v, hl_err *e) {
  for (int i = 0; i < n; i++) {
    bool own = false;
    for (int k = b->first; k < p->n_nodes; k++)
      for (int j = 0; j < p->nodes[k].n_out; j++) own = own || p->nodes[k].out[j] == v[i];
    if (!own)
      return hl_fail(e, HL_EINVAL,
                     "custom op: output %d is not computed inside it (affine(x) makes a copy)",
                     i + 1);
  }
  return HL_OK;
}

static hl_status check_vars(const hl_program *p, int n, const hl_var *v, hl_err *e) {
  for (int i = 0; i < n; i++)
    if (v[i] < 0 || v[i] >= p->n_vars)
      return hl_fail(e, HL_EINVAL, "invertible block: value %d is not of this program", i + 1);
  return HL_OK;
}

hl_status hl_block_begin(hl_program *p, int n_in, const hl_var *in, bool rebuild, hl_err *e) {
  HL_TRY(open_for_change(p, e));
  HL_TRY(check_vars(p, n_in, in, e));
  if (p->open_block >= 0)
    return hl_at_scope(p, p->scope,
                       hl_fail(e, HL_EINVAL, "an invertible block cannot stand inside another"), e);
  if (p->again_open)
    return hl_at_scope(p, p->scope,
                       hl_fail(e, HL_EINVAL,
                               "an invertible block cannot stand inside a stretch that is computed "
                               "again"),
                       e);
  HL_TRY(hl_reserve((void **)&p->blocks, p->n_blocks, &p->cap_blocks, sizeof *p->blocks, e));
  block *b = &p->blocks[p->n_blocks];
  memset(b, 0, sizeof *b);
  b->in = hl_host_calloc((size_t)n_in * 2 + 1, sizeof *b->in);
  if (b->in == NULL) return hl_fail(e, HL_ENOMEM, "no memory for an invertible block");
  memcpy(b->in, in, (size_t)n_in * sizeof *in);
  b->rebuilt = b->in + n_in;
  b->n_in = n_in;
  b->rebuild = rebuild;
  b->first = p->n_nodes;
  p->open_block = p->n_blocks++;
  return HL_OK;
}

hl_status hl_custom_begin(hl_program *p, int n_in, const hl_var *in, hl_err *e) {
  HL_TRY(hl_block_begin(p, n_in, in, true, e));
  p->blocks[p->open_block].custom = true;
  return HL_OK;
}

hl_status hl_block_turn(hl_program *p, int n_out, const hl_var *out, hl_var *placeholder,
                        hl_err *e) {
  if (p->open_block < 0 || p->inverting)
    return hl_fail(e, HL_EINVAL, "no invertible block is being recorded");
  if (p->again_open)
    return hl_fail(e, HL_EINVAL, "a stretch that is computed again has no end in this block");
  HL_TRY(check_vars(p, n_out, out, e));
  block *b = &p->blocks[p->open_block];
  if (b->custom) HL_TRY(check_own(p, b, n_out, out, e));
  b->out = hl_host_calloc((size_t)n_out * 2 + 1, sizeof *b->out);
  if (b->out == NULL) return hl_fail(e, HL_ENOMEM, "no memory for an invertible block");
  memcpy(b->out, out, (size_t)n_out * sizeof *out);
  b->placeholder = b->out + n_out;
  b->n_out = n_out;
  b->turn = p->n_nodes;
  p->inverting = true;
  for (int i = 0; i < n_out; i++) {
    HL_TRY(hl_add_var(p, VAR_PLACEHOLDER, &p->vars[out[i]].desc, &b->placeholder[i], e));
    placeholder[i] = b->placeholder[i];
  }
  return HL_OK;
}

hl_status hl_block_end(hl_program *p, int n_in, const hl_var *rebuilt, hl_err *e) {
  if (p->open_block < 0 || !p->inverting)
    return hl_fail(e, HL_EINVAL, "no inverse of a block is being recorded");
  HL_TRY(check_vars(p, n_in, rebuilt, e));
  block *b = &p->blocks[p->open_block];
  hl_status s = HL_OK;
  if (n_in != b->n_in)
    s = hl_fail(e, HL_ESHAPE, "the %s gives %d values, the block has %d inputs",
                b->custom ? "gradient" : "inverse", n_in, b->n_in);
  for (int i = 0; i < n_in && s == HL_OK; i++) {
    const hl_desc *was = &p->vars[b->in[i]].desc, *is = &p->vars[rebuilt[i]].desc;
    char tw[HL_DESC_TEXT], ti[HL_DESC_TEXT];
    if (!hl_desc_equal(was, is))
      s = hl_fail(e, HL_ESHAPE, "the %s input %d as %s, but it was %s",
                  b->custom ? "gradient gives that of" : "inverse rebuilds", i + 1,
                  hl_desc_text(is, ti), hl_desc_text(was, tw));
  }
  if (s != HL_OK) return hl_at_scope(p, p->scope, s, e);
  memcpy(b->rebuilt, rebuilt, (size_t)n_in * sizeof *rebuilt);
  b->end = p->n_nodes;
  p->open_block = -1;
  p->inverting = false;
  return HL_OK;
}

/* ---- stretches that are computed again ---- */

hl_status hl_again_begin(hl_program *p, hl_err *e) {
  HL_TRY(open_for_change(p, e));
  if (p->again_open)
    return hl_at_scope(
        p, p->scope,
        hl_fail(e, HL_EINVAL, "a stretch that is computed again cannot stand inside another"), e);
  HL_TRY(hl_reserve((void **)&p->again, p->n_again, &p->cap_again, sizeof *p->again, e));
  p->again[p->n_again++] = (stretch){p->n_nodes, p->n_nodes};
  p->again_open = true;
  return HL_OK;
}

hl_status hl_again_end(hl_program *p, hl_err *e) {
  if (!p->again_open) return hl_fail(e, HL_EINVAL, "no stretch to compute again is being recorded");
  p->again[p->n_again - 1].end = p->n_nodes;
  p->again_open = false;
  return HL_OK;
}

/* ---- fixed-point numbers that left their range ---- */

bool hl_program_clipped(const hl_program *p, int *at, const char **path, int64_t *count) {
  for (; *at < p->n_scopes; ++*at) {
    if (p->scopes[*at].clipped == 0) continue;
    *path = p->scopes[*at].path;
    *count = p->scopes[(*at)++].clipped;
    return true;
  }
  return false;
}

/* ---- listing ---- */

int hl_program_op_count(const hl_program *p) {
  return p->n_nodes;
}

const char *hl_program_op_text(hl_program *p, int i) {
  if (i < 0 || i >= p->n_nodes) return NULL;
  const node *n = &p->nodes[i];
  char d[HL_DESC_TEXT];
  size_t used = 0, size = sizeof p->text;
  const char *mark = n->inverse ? "inverse " : n->backward ? "backward " : "";
  int w = snprintf(p->text, size, "%s%s(", mark, n->op->name);
  for (int j = 0; j < n->n_in && w >= 0 && used + (size_t)w < size; j++) {
    used += (size_t)w;
    w = snprintf(p->text + used, size - used, "%s%%%d%s", j == 0 ? "" : ", ", n->in[j],
                 n->takes == j ? "!" : "");
  }
  if (w >= 0 && used + (size_t)w < size) {
    used += (size_t)w;
    snprintf(p->text + used, size - used, ") -> %%%d %s  %s%s%s", n->n_out > 0 ? n->out[0] : -1,
             n->n_out > 0 ? hl_desc_text(&p->vars[n->out[0]].desc, d) : "",
             p->scopes[n->scope].path, p->finished && !n->needed ? "  (dropped)" : "",
             n->chain >= 0 ? "  (chained)" : "");
  }
  return p->text;
}
