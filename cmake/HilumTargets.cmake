# How a hilum target is built: warnings, sanitizers and tuning are INTERFACE targets, no global flags.
add_library(hilum_flags INTERFACE)
target_compile_options(hilum_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  $<$<BOOL:${HILUM_WERROR}>:-Werror>)
# Fixed floating-point meaning: no contraction across statements, never -ffast-math.
target_compile_options(hilum_flags INTERFACE -ffp-contract=off)
# No path of the building machine in messages or binaries.
target_compile_options(hilum_flags INTERFACE -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=)
if(HILUM_NATIVE)
  target_compile_options(hilum_flags INTERFACE -march=native)
endif()
if(HILUM_SANITIZE)
  string(REPLACE ";" "," sanitizers "${HILUM_SANITIZE}")
  target_compile_options(hilum_flags INTERFACE -fsanitize=${sanitizers} -fno-omit-frame-pointer)
  if(HILUM_SANITIZE MATCHES "undefined")
    target_compile_options(hilum_flags INTERFACE -fno-sanitize-recover=undefined)
  endif()
  target_link_options(hilum_flags INTERFACE -fsanitize=${sanitizers})
endif()

# hl_room(NAME SOURCES … [LINKS …]): one room of the engine as an object library hilum_room_NAME.
# A room sees the public headers, its own folder and the vendors it is given, nothing else.
function(hl_room name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(hilum_room_${name} OBJECT ${ARG_SOURCES})
  target_include_directories(hilum_room_${name}
    PUBLIC ${PROJECT_SOURCE_DIR}/engine/include
    PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(hilum_room_${name} PRIVATE hilum_flags ${ARG_LINKS})
  set_property(GLOBAL APPEND PROPERTY HILUM_ROOMS hilum_room_${name})
  foreach(link ${ARG_LINKS})
    set_property(GLOBAL APPEND PROPERTY HILUM_VENDORS ${link})
  endforeach()
endfunction()
