# cmake -DOUT=FILE.c -DFILES=a.c,b.c -P HilumRevision.cmake: writes the function that tells the hash of these files.
string(REPLACE "," ";" files "${FILES}")
set(sums "")
foreach(file ${files})
  file(SHA256 ${file} sum)
  string(APPEND sums ${sum})
endforeach()
string(SHA256 revision "${sums}")
file(WRITE ${OUT} "#include <hilum/revision.h>

const char *hl_revision(void) {
  return \"${revision}\";
}
")
