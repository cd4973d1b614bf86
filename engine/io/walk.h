/* All regular files below a folder, in a fixed order. */
#ifndef HILUM_IO_WALK_H
#define HILUM_IO_WALK_H

#include <hilum/problems.h>

typedef struct file_list {
  char **paths;
  int64_t n, room;
} file_list;

/* Hidden names are left out, links are followed, a folder is entered once however it is reached. A
 * folder below that cannot be read goes to `problems`; the top one fails (HL_EIO). */
HL_MUST_CHECK hl_status files_below(file_list *out, const char *folder, hl_problems *problems,
                                    hl_err *e);
void file_list_free(file_list *l);

#endif
