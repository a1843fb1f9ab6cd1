# The tests: the sources of every folder tests/<layer>/ become one program, test_<layer>, and each test case in it one
# ctest test, found when ctest starts. A script tests/<folder>/*.sh is one test, too: it finds the command in $HONE, this
# checkout in $SOURCES, the build in $BUILD, and exits with 77 when it can't be run here.
# A script with a line "# alone" compares times, and runs beside no other test.
# The label "slow" comes from the tag [slow] of a test case, or from a line "# slow" in a script; `ctest -LE slow` leaves
# them out.
find_package(Catch2 2.13 REQUIRED CONFIG)

# tests/testing/ holds what tests share, and their main.
file(GLOB hone_test_support CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/testing/*.cpp")
add_library(hone_test_support OBJECT ${hone_test_support})
target_link_libraries(hone_test_support PUBLIC
  hone::hone hone_compiler Catch2::Catch2 ONNX::onnx protobuf::libprotobuf Eigen3::Eigen ZLIB::ZLIB PkgConfig::minizip
  Threads::Threads)
# Tests may look into a layer, at its private headers.
target_include_directories(hone_test_support PUBLIC "${PROJECT_SOURCE_DIR}/tests/testing" "${PROJECT_SOURCE_DIR}/lib")
target_include_directories(hone_test_support SYSTEM PUBLIC "${hone_proto_dir}")
target_compile_definitions(hone_test_support PUBLIC $<$<BOOL:${HONE_ONEDNN}>:HONE_ONEDNN=1>)
# Tests are compiled more than they run: what takes time in them is the library.
target_compile_options(hone_test_support PUBLIC $<$<CONFIG:Release>:-O0>)
# All programs share one precompiled header, and so have to be compiled alike: as the compiler does by itself, not as a
# library here and a program there.
set_target_properties(hone_test_support PROPERTIES POSITION_INDEPENDENT_CODE OFF)
hone_precompile(hone_test_support <catch2/catch.hpp>)
# These two define what a header of Catch2 does, or belong to a command, too.
set_source_files_properties("${PROJECT_SOURCE_DIR}/tests/testing/main.cpp" "${PROJECT_SOURCE_DIR}/tests/testing/sanitizers.cpp"
  PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
# Only here: the path of this checkout in every command would keep checkouts from sharing ccache.
set_source_files_properties("${PROJECT_SOURCE_DIR}/tests/testing/sources.cpp" PROPERTIES
  COMPILE_DEFINITIONS "HONE_SOURCES=\"${PROJECT_SOURCE_DIR}\"")

file(GLOB hone_test_folders LIST_DIRECTORIES true CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/*")
foreach(folder IN LISTS hone_test_folders)
  get_filename_component(layer "${folder}" NAME)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${folder}/*.cpp")
  if(NOT HONE_ONEDNN)
    list(FILTER sources EXCLUDE REGEX "/tests/exec/onednn/")
  endif()
  # Programs of their own: see HoneFuzzers.cmake.
  list(FILTER sources EXCLUDE REGEX "/tests/fuzz/programs/")
  if(layer STREQUAL "conformance")
    # A program of its own: see tests/conformance/runner.cpp.
    add_executable(conformance ${sources})
    target_link_libraries(conformance PRIVATE hone::hone hone_compiler)
    target_compile_options(conformance PRIVATE $<$<CONFIG:Release>:-O1>)
  elseif(sources AND NOT layer STREQUAL "testing")
    add_executable(test_${layer} ${sources})
    target_link_libraries(test_${layer} PRIVATE hone_test_support)
    set_target_properties(test_${layer} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    hone_unity(test_${layer})
    if(HONE_PCH)
      target_precompile_headers(test_${layer} REUSE_FROM hone_test_support)
      target_compile_options(test_${layer} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
    endif()
    file(WRITE "${PROJECT_BINARY_DIR}/test_${layer}.cmake"
      "set(program \"${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/test_${layer}\")\n"
      "set(layer \"${layer}\")\n"
      "include(\"${PROJECT_SOURCE_DIR}/cmake/DiscoverTests.cmake\")\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${PROJECT_BINARY_DIR}/test_${layer}.cmake")
  endif()

  # The kernels for CPUs with less than this one has.
  if(layer STREQUAL "exec" AND HONE_ONEDNN)
    foreach(isa IN ITEMS AVX2 AVX512_CORE)
      add_test(NAME "exec: ${isa}" COMMAND test_exec)
      set_tests_properties("exec: ${isa}" PROPERTIES TIMEOUT 900 LABELS exec ENVIRONMENT "ONEDNN_MAX_CPU_ISA=${isa}")
    endforeach()
  endif()

  file(GLOB scripts CONFIGURE_DEPENDS "${folder}/*.sh")
  foreach(script IN LISTS scripts)
    get_filename_component(name "${script}" NAME_WE)
    file(STRINGS "${script}" slow REGEX "^# slow")
    file(STRINGS "${script}" alone REGEX "^# alone")
    set(labels "${layer}")
    set(cost 1)
    if(slow)
      list(APPEND labels slow)
      set(cost 100)  # first, so that nothing long is left for one core at the end
    endif()
    add_test(NAME "${layer}: ${name}" COMMAND bash "${script}")
    if(alone)
      set_tests_properties("${layer}: ${name}" PROPERTIES RUN_SERIAL ON)
    endif()
    set_tests_properties("${layer}: ${name}" PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77 COST ${cost} LABELS "${labels}"
      ENVIRONMENT "HONE=$<TARGET_FILE:hone_tool>;SOURCES=${PROJECT_SOURCE_DIR};BUILD=${PROJECT_BINARY_DIR}")
  endforeach()
endforeach()
