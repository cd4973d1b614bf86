/* Chains: neighbouring elementwise nodes of one shape become one pass over memory. Values that only
 * they use need no storage; a result that is used later takes over the storage of an operand that
 * dies within the chain, as a single op would in place. */
#include "internal.h"

#include <string.h>

/* The chain that is being gathered. */
typedef struct gathering {
  chain c;
  int32_t node[HL_CHAIN_LINKS];
} gathering;

static int link_of(const hl_program *p, const gathering *g, hl_var v) {
  for (int i = g->c.call.n_links - 1; i >= 0; i--)
    if (p->nodes[g->node[i]].out[0] == v) return i;
  return -1;
}

static int operand_of(const gathering *g, hl_var v) {
  int k = 0;
  while (k < g->c.call.n_operands && g->c.operand[k] != v) k++;
  return k;
}

/* Is there room for node n among what has been gathered? */
static bool joins(const hl_program *p, const gathering *g, const node *n) {
  const hl_chain *c = &g->c.call;
  if (c->n_links == 0) return true;
  if (!hl_desc_equal(&c->desc, &p->vars[n->out[0]].desc) || c->n_links == HL_CHAIN_LINKS)
    return false;
  int more = 0;
  for (int j = 0; j < n->n_in; j++)
    more += link_of(p, g, n->in[j]) < 0 && operand_of(g, n->in[j]) == c->n_operands;
  return c->n_operands + more <= HL_CHAIN_OPERANDS;
}

static void add(const hl_program *p, gathering *g, int32_t i, hl_stretch run) {
  const node *n = &p->nodes[i];
  hl_chain *c = &g->c.call;
  hl_link *l = &c->link[c->n_links];
  *l = (hl_link){.op = n->op, .attrs = n->attrs, .run = run, .n_in = n->n_in, .result = -1};
  for (int j = 0; j < n->n_in; j++) {
    hl_var v = n->in[j];
    l->in[j] = link_of(p, g, v);
    if (l->in[j] >= 0) continue;
    int k = operand_of(g, v);
    l->in[j] = -1 - k;
    if (k < c->n_operands) continue;
    c->operand[k] = p->vars[v].desc;
    g->c.operand[c->n_operands++] = v;
  }
  if (c->n_links == 0) {
    c->desc = p->vars[n->out[0]].desc;
    g->c.first = i;
  }
  g->c.last = i;
  g->node[c->n_links++] = i;
}

/* May the result of link i lie where operand k lay? */
static bool can_inherit(const hl_program *p, const gathering *g, int i, int k) {
  const variable *from = &p->vars[g->c.operand[k]];
  if (from->kind != VAR_RESULT || from->last_use > g->node[i] || from->last_use < g->c.first ||
      !hl_desc_equal(&from->desc, &g->c.call.desc))
    return false;
  if (from->last_use < g->node[i]) return true;
  const hl_link *l = &g->c.call.link[i];
  int uses = 0, input = 0;
  for (int j = 0; j < l->n_in; j++)
    if (l->in[j] == -1 - k) {
      uses++;
      input = j;
    }
  return uses == 1 && (l->op->inplace >> input & 1U) != 0;
}

static void find_heirs(hl_program *p, const gathering *g) {
  bool taken[HL_CHAIN_OPERANDS] = {0};
  for (int i = 0; i < g->c.call.n_links; i++) {
    variable *to = &p->vars[p->nodes[g->node[i]].out[0]];
    for (int k = 0; k < g->c.call.n_operands; k++) {
      if (to->passes || to->is_output || to->heir_to != HL_NO_VAR || taken[k]) continue;
      if (!can_inherit(p, g, i, k)) continue;
      to->heir_to = g->c.operand[k];
      taken[k] = true;
    }
  }
}

/* What is needed outside is a result, everything else passes. */
static void find_results(hl_program *p, gathering *g) {
  for (int i = 0; i < g->c.call.n_links; i++) {
    hl_var v = p->nodes[g->node[i]].out[0];
    variable *to = &p->vars[v];
    to->passes = !to->is_output && to->last_use <= g->c.last;
    if (to->passes) continue;
    g->c.call.link[i].result = g->c.call.n_results;
    g->c.result[g->c.call.n_results++] = v;
  }
}

static void keep_operands(hl_program *p, const gathering *g) {
  for (int k = 0; k < g->c.call.n_operands; k++) {
    variable *v = &p->vars[g->c.operand[k]];
    if (v->last_use >= g->c.first && v->last_use < g->c.last) v->last_use = g->c.last;
  }
}

/* Ends the chain; a single op is none. */
static hl_status end_chain(hl_program *p, gathering *g, hl_err *e) {
  if (g->c.call.n_links > 1) {
    HL_TRY(hl_reserve((void **)&p->chains, p->n_chains, &p->cap_chains, sizeof *p->chains, e));
    find_results(p, g);
    find_heirs(p, g);
    keep_operands(p, g);
    for (int i = 0; i < g->c.call.n_links; i++) p->nodes[g->node[i]].chain = p->n_chains;
    p->chains[p->n_chains++] = g->c;
  }
  memset(g, 0, sizeof *g);
  return HL_OK;
}

static hl_stretch stretch_of(const hl_program *p, const node *n) {
  if (n->n_in > HL_LINK_INPUTS || n->n_out != 1) return NULL;
  hl_call c;
  hl_node_call(p, n, &c);
  return hl_call_stretch(&c);
}

hl_status hl_fuse(hl_program *p, hl_err *e) {
  gathering g;
  memset(&g, 0, sizeof g);
  for (int32_t i = 0; i < p->n_nodes && !p->apart; i++) {
    const node *n = &p->nodes[i];
    if (!n->needed) continue;
    hl_stretch run = stretch_of(p, n);
    if (run == NULL || !joins(p, &g, n)) HL_TRY(end_chain(p, &g, e));
    if (run != NULL) add(p, &g, i, run);
  }
  return end_chain(p, &g, e);
}

void hl_program_keep_apart(hl_program *p) {
  p->apart = true;
}
