# How a test is added: one line in tests/CMakeLists.txt.
#   hl_test_c(NAME LABELS … [LINKS …] [INCLUDES …])   tests/c/NAME.c, linked to the library
#   hl_test_lua(NAME LABELS …)                        tests/lua/NAME.lua, run by the built program
#   hl_test_golden(TOPIC)                         tests/golden/golden_TOPIC.lua, likewise; label golden-TOPIC
#   hl_test_cli(NAME LABELS …)                        tests/cli/NAME.sh
#   hl_test_lint(NAME)                                tests/lint/NAME.lua, run by the system's Lua
# Every test prints TAP; tests/run-tap.sh keeps it in BUILD/tests/tap and lets prove judge it.
find_program(PROVE_PROGRAM prove REQUIRED DOC "Judges TAP (Debian: perl)")
find_program(LUA_PROGRAM NAMES lua5.4 lua54 lua REQUIRED)
set(HILUM_SHARED ${PROJECT_SOURCE_DIR}/../shared CACHE PATH
    "Folder with golden vectors and real data; tests that need it are skipped where it is absent")

function(hl_test name)
  cmake_parse_arguments(ARG "" "" "LABELS;COMMAND" ${ARGN})
  set(environment HILUM_SHARED=${HILUM_SHARED} HILUM_SOURCE=${PROJECT_SOURCE_DIR}
      HILUM_BUILD=${PROJECT_BINARY_DIR} HILUM_LUA=${LUA_PROGRAM} HILUM_CMAKE=${CMAKE_COMMAND}
      HILUM_CC=${CMAKE_C_COMPILER} HILUM_CXX=${CMAKE_CXX_COMPILER}
      HILUM_CACHE=${PROJECT_BINARY_DIR}/tests/cache OMP_WAIT_POLICY=passive)
  if(TARGET hilum_program)
    list(APPEND environment HILUM=$<TARGET_FILE:hilum_program>)
  endif()
  add_test(NAME ${name} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/run-tap.sh ${name} ${ARG_COMMAND})
  set_tests_properties(${name} PROPERTIES
    LABELS "${ARG_LABELS}" ENVIRONMENT "${environment}" SKIP_RETURN_CODE 77 TIMEOUT 900)
endfunction()

# A program for tests, from tests/c/NAME.c.
function(hl_program_c name)
  cmake_parse_arguments(ARG "" "" "LINKS;INCLUDES" ${ARGN})
  add_executable(${name} c/${name}.c)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests ${ARG_INCLUDES})
  target_link_libraries(${name} PRIVATE hilum hilum_flags ${ARG_LINKS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/c)
endfunction()

function(hl_test_c name)
  cmake_parse_arguments(ARG "" "" "LABELS;LINKS;INCLUDES" ${ARGN})
  hl_program_c(${name} LINKS ${ARG_LINKS} INCLUDES ${ARG_INCLUDES})
  hl_test(c.${name} LABELS ${ARG_LABELS} COMMAND $<TARGET_FILE:${name}>)
endfunction()

function(hl_test_lua name)
  cmake_parse_arguments(ARG "" "" "LABELS" ${ARGN})
  if(TARGET hilum_program)
    hl_test(lua.${name} LABELS ${ARG_LABELS}
      COMMAND ${CMAKE_COMMAND} -E env HILUM_TRACEBACK=1
        $<TARGET_FILE:hilum_program> repl ${PROJECT_SOURCE_DIR}/tests/lua/${name}.lua)
  endif()
endfunction()

function(hl_test_golden topic)
  if(TARGET hilum_program)
    hl_test(golden.${topic} LABELS golden-${topic}
      COMMAND ${CMAKE_COMMAND} -E env HILUM_TRACEBACK=1
        $<TARGET_FILE:hilum_program> repl ${PROJECT_SOURCE_DIR}/tests/golden/golden_${topic}.lua)
  endif()
endfunction()

function(hl_test_cli name)
  cmake_parse_arguments(ARG "" "" "LABELS" ${ARGN})
  if(TARGET hilum_program)
    hl_test(cli.${name} LABELS ${ARG_LABELS} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/cli/${name}.sh)
  endif()
endfunction()

function(hl_test_lint name)
  hl_test(lint.${name} LABELS lint COMMAND ${LUA_PROGRAM} ${PROJECT_SOURCE_DIR}/tests/lint/${name}.lua)
endfunction()
