# Flags of our own code, and one function for each kind of target.
add_library(dyncast_flags INTERFACE)
target_include_directories(dyncast_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_options(dyncast_flags INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Wconversion
  -Wno-sign-conversion -Wimplicit-fallthrough -fno-omit-frame-pointer -fstack-protector-strong)
target_compile_definitions(dyncast_flags INTERFACE DYNCAST_VERSION="${PROJECT_VERSION}")
if(DYNCAST_SANITIZE)
  target_compile_options(dyncast_flags INTERFACE -fsanitize=${DYNCAST_SANITIZE}
                                                 -fno-sanitize-recover=all)
  target_link_options(dyncast_flags INTERFACE -fsanitize=${DYNCAST_SANITIZE})
endif()
if(DYNCAST_COVERAGE)
  target_compile_options(dyncast_flags INTERFACE --coverage)
  target_link_options(dyncast_flags INTERFACE --coverage)
endif()
if(DYNCAST_FUZZ)
  target_compile_options(dyncast_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# dyncast_library(NAME SOURCES ... [LIBS ...]): one static library per folder.
function(dyncast_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC dyncast_flags ${ARG_LIBS})
endfunction()

# dyncast_program(NAME SOURCES ... [LIBS ...])
function(dyncast_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE dyncast_flags ${ARG_LIBS})
endfunction()

# dyncast_test(NAME [SOURCES ...] [LIBS ...]): a GoogleTest program from the folder's *_test.cc (or the
# named sources), run by ctest under the label of its kind: unit, property, ovs.
function(dyncast_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  endif()
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE dyncast_flags ${ARG_LIBS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "DYNCAST_SOURCE_DIR=${CMAKE_SOURCE_DIR};DYNCAST_BINARY_DIR=${CMAKE_BINARY_DIR}")
endfunction()

# dyncast_fuzzer(NAME SOURCES ... LIBS ...): LLVMFuzzerTestOneInput. With DYNCAST_FUZZ a real libFuzzer
# program; otherwise a program that runs the committed corpus (tests/fuzz/corpus/NAME) in the normal tests.
function(dyncast_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE dyncast_flags ${ARG_LIBS})
  if(DYNCAST_FUZZ)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/run_corpus.cc)
    add_test(NAME ${name} COMMAND ${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()
