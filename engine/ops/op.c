/* The table of ops, generated from ops.def. */
#include "ops_table.inc"

#include <string.h>

int hl_op_count(void) {
  return (int)(sizeof table / sizeof table[0]);
}

const hl_op *hl_op_at(int i) {
  return i >= 0 && i < hl_op_count() ? table[i].op : NULL;
}

const hl_op *hl_op_find(const char *name) {
  for (int i = 0; i < hl_op_count(); i++)
    if (strcmp(table[i].op->name, name) == 0) return table[i].op;
  return NULL;
}

const hl_kernel *hl_op_cpu(const hl_op *op) {
  for (int i = 0; i < hl_op_count(); i++)
    if (table[i].op == op) return table[i].cpu;
  return NULL;
}
