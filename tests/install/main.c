#include <hilum/hash.h>
#include <stdio.h>

int main(void) {
  hl_err e = {0};
  char text[HL_HASH_TEXT];
  if (hl_hash_bytes("abc", 3, text, &e) != HL_OK) return 1;
  return printf("hilum %s %s\n", hl_version(), text) < 0;
}
