/* The inside of a program, shared by the program room's own files. */
#ifndef HILUM_PROGRAM_INTERNAL_H
#define HILUM_PROGRAM_INTERNAL_H

#include <hilum/narrow.h>
#include <hilum/program.h>

typedef enum var_kind {
  VAR_INPUT,      /* fed at every run */
  VAR_BOUND,      /* a tensor held by reference */
  VAR_RESULT,     /* made by a node */
  VAR_PLACEHOLDER /* stands for a block's output while its inverse is traced */
} var_kind;

typedef struct variable {
  hl_desc desc;
  var_kind kind;
  bool trainable;
  bool is_output;
  hl_category category;
  int32_t scope;
  int32_t slot;      /* where in the arena it lives, or -1: it has storage of its own */
  int32_t last_use;  /* node after which the value dies; -1: never used, INT32_MAX: never dies */
  bool passes;       /* lives inside a chain only: no storage */
  hl_var heir_to;    /* results of a chain: the value whose storage it takes over, or HL_NO_VAR */
  char *name;        /* inputs and bound values */
  hl_tensor *tensor; /* bound values; results of a live program */
  hl_tensor *view;   /* passing values, once run: their place in the arena */
  bool used;         /* live programs: an op has read the tensor */
  uint64_t version;  /* of the tensor when it was first read, or made */
} variable;

typedef struct node {
  const hl_op *op;
  void *attrs;
  int n_in, n_out;
  hl_var *in, *out; /* one allocation, owned through `in` */
  int32_t scope;
  int32_t block; /* rebuild block whose forward body holds this node, or -1 */
  int32_t again; /* stretch of nodes that are computed again with this one, or -1 */
  bool inverse;  /* part of an inverse body: a pattern, never executed */
  bool backward; /* emitted by differentiation */
  bool needed;
  int32_t scratch; /* slot of its workspace, or -1 */
  int32_t takes;   /* input whose storage output 0 takes over, or -1 */
  int32_t chain;   /* the chain that runs it, or -1 */
} node;

typedef struct block {
  bool rebuild; /* also true for custom blocks: their inside is not differentiated op by op */
  bool custom; /* the second body is the gradient, not the inverse; placeholders are what arrives */
  int first, turn, end; /* forward nodes [first, turn), inverse nodes [turn, end) */
  int n_in, n_out;
  hl_var *in, *out, *placeholder, *rebuilt;
} block;

/* Nodes [first, end) that the backward pass computes again. */
typedef struct stretch {
  int first, end;
} stretch;

/* Neighbouring elementwise nodes that run as one pass over memory. For the lives of values they are
 * one moment: operands live until the last node, results from the first. */
typedef struct chain {
  int32_t first, last;
  hl_chain call;
  hl_var operand[HL_CHAIN_OPERANDS], result[HL_CHAIN_LINKS];
} chain;

/* A stretch of the arena, the one block in which a run's passing values live. */
typedef struct slot {
  int32_t first, last; /* nodes between which it is in use */
  size_t bytes, offset;
} slot;

typedef struct place {
  char *path; /* full: "model[2].level[3]"; place 0 is "" */
  int32_t outer;
  int64_t clipped; /* fixed-point numbers cut off there in the last run */
} place;

struct hl_program {
  bool live, finished, backward, apart;
  variable *vars;
  int n_vars, cap_vars;
  node *nodes;
  int n_nodes, cap_nodes;
  block *blocks;
  int n_blocks, cap_blocks;
  int open_block; /* -1: none */
  stretch *again;
  int n_again, cap_again;
  bool again_open; /* the last of them has no end yet */
  bool inverting;  /* inside the inverse body of the open block */
  place *scopes;
  int n_scopes, cap_scopes;
  int32_t scope;
  chain *chains;
  int n_chains, cap_chains;
  slot *slots;
  int n_slots, cap_slots;
  size_t arena_bytes;
  hl_tensor *arena;   /* since the first run; without memory between runs */
  hl_tensor **values; /* per var, of the run in progress */
  hl_var *inputs, *outputs;
  int n_inputs, n_outputs, cap_inputs, cap_outputs;
  hl_observer *observer;
  void *observing; /* its context */
  char text[512];
};

/* Grows an array to hold one more element. */
hl_status hl_reserve(void **array, int count, int *cap, size_t size, hl_err *e);

/* "model[2].level[3]: " context for errors. Returns code. */
hl_status hl_at_scope(const hl_program *p, int32_t scope, hl_status code, hl_err *e);

/* A description of node i's call with its input and output shapes. */
void hl_node_call(const hl_program *p, const node *n, hl_call *c);

/* Appends a value. */
HL_MUST_CHECK hl_status hl_add_var(hl_program *p, var_kind kind, const hl_desc *like, hl_var *out,
                                   hl_err *e);
/* Sets what a node calls and with which values; room for its results is there. */
HL_MUST_CHECK hl_status hl_node_of(node *n, const hl_call *c, const hl_var *in, hl_err *e);

/* Lets the ops' rules put one op in the place of several; what is needed is known. */
HL_MUST_CHECK hl_status hl_join_all(hl_program *p, hl_err *e);

/* Joins what can run as one pass; last uses are known. */
HL_MUST_CHECK hl_status hl_fuse(hl_program *p, hl_err *e);

/* Gives every passing value and workspace of a finished program its place in the arena. */
HL_MUST_CHECK hl_status hl_arena_plan(hl_program *p, hl_err *e);
/* Bytes of the arena that are in use while node i runs. */
size_t hl_arena_live(const hl_program *p, int i);
/* Where most bytes of the arena are in use, how many, and how many of them are that node's scratch.
 * No layout can be smaller than `live`; node is -1 if the program keeps nothing. */
typedef struct summit {
  int node;
  size_t live, workspace;
} summit;
summit hl_arena_summit(const hl_program *p);

#endif
