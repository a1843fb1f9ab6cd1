# How everything of hone is compiled: C++20, warnings, ccache, no path of this checkout in the objects.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug" FORCE)
endif()
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

find_program(HONE_CCACHE ccache)
if(HONE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The base directory lets two checkouts share what they have compiled; what is sloppy is what ccache wants for
  # precompiled headers: nothing here is defined on the command line to change them, and nothing uses __TIME__.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=true CCACHE_SLOPPINESS=pch_defines,time_macros
    "${HONE_CCACHE}")
endif()

# Headers of the standard library and fmt, which every source includes, are parsed once. None of hone's own: a change
# of one would compile everything. A source still includes what it uses: HONE_PCH=OFF shows who doesn't.
set(hone_precompiled
  <fmt/format.h> <algorithm> <array> <chrono> <cmath> <cstdint> <cstring> <functional> <limits> <map> <memory> <numeric>
  <optional> <set> <span> <string> <string_view> <unordered_map> <unordered_set> <utility> <variant> <vector>)
function(hone_precompile target)
  if(HONE_PCH)
    target_precompile_headers(${target} PRIVATE ${hone_precompiled} ${ARGN})
    # ccache can't look into a precompiled header without this.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
endfunction()

add_library(hone_compiler INTERFACE)
target_compile_options(hone_compiler INTERFACE
  "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=."
  -Wall -Wextra -Wnon-virtual-dtor -Woverloaded-virtual -Wextra-semi
  # A parameter may have the name of the member it sets; of GCC's kinds of shadowing that leaves this one.
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local> $<$<CXX_COMPILER_ID:Clang>:-Wshadow>
  # GCC 12 sees uninitialized members in every std::optional<std::vector> that is moved at -O2, and in the standard
  # library's regular expressions under a sanitizer.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
  # A precompiled header fills GCC's heap at once, and it would collect garbage again and again: a tenth of its time.
  $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=1048576>
  $<$<BOOL:${HONE_WERROR}>:-Werror>)
string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
if("${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}" MATCHES "-fsanitize=")
  set(HONE_SANITIZED ON)
endif()
# A library is loaded at start only if something of it is used: a start is the whole time of a small job.
target_link_options(hone_compiler INTERFACE -Wl,--as-needed)

# With HONE_UNITY, up to eight sources of a folder are compiled as one: what their headers cost is paid once. Those of the
# pattern LONE are left out: files of one role each, whose helpers have the same names.
function(hone_unity target)
  if(NOT HONE_UNITY)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 1 unity "" "LONE" "")
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  # A type of an anonymous namespace in one of another name is right in a source, and dangerous only in a header.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  get_target_property(sources ${target} SOURCES)
  set(previous "")
  foreach(source IN LISTS sources)
    get_filename_component(folder "${source}" DIRECTORY)
    if(NOT source MATCHES "[.]cpp$" OR (unity_LONE AND source MATCHES "${unity_LONE}"))
      continue()
    endif()
    if(NOT folder STREQUAL previous OR count EQUAL 8)
      set(count 0)
      math(EXPR group "${group} + 1")
      set(previous "${folder}")
    endif()
    math(EXPR count "${count} + 1")
    set_source_files_properties("${source}" PROPERTIES UNITY_GROUP ${group})
  endforeach()
endfunction()
