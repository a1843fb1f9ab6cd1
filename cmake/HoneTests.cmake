# The tests: every folder tests/<layer>/ with sources becomes one program, test_<layer>; every test case in it one
# ctest test, found when ctest starts. Commands are tested by the scripts tests/tools/*.sh. The label "slow" comes from
# the tag [slow] of a test case, or from a line "# slow" in a script: `ctest -LE slow` leaves them out.
find_package(Catch2 2.13 REQUIRED CONFIG)

file(GLOB hone_test_support CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/support/*.cpp")
add_library(hone_test_support OBJECT ${hone_test_support})
target_link_libraries(hone_test_support PUBLIC
  hone::hone hone_compiler Catch2::Catch2 ONNX::onnx protobuf::libprotobuf Eigen3::Eigen fmt::fmt
  nlohmann_json::nlohmann_json ZLIB::ZLIB PkgConfig::libzip Threads::Threads)
target_include_directories(hone_test_support PUBLIC
  "${PROJECT_SOURCE_DIR}/tests" "${PROJECT_SOURCE_DIR}/tests/support" "${PROJECT_SOURCE_DIR}/lib")
target_compile_definitions(hone_test_support PUBLIC
  "HONE_TEST_SOURCES=\"${PROJECT_SOURCE_DIR}\"" $<$<BOOL:${HONE_ONEDNN}>:HONE_ONEDNN=1>)
target_include_directories(hone_test_support SYSTEM PUBLIC "${hone_proto_dir}")

file(GLOB hone_test_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true "${PROJECT_SOURCE_DIR}/tests/*")
foreach(folder IN LISTS hone_test_folders)
  get_filename_component(layer "${folder}" NAME)
  file(GLOB sources CONFIGURE_DEPENDS "${folder}/*.cpp")
  if(NOT sources OR layer STREQUAL "support")
    continue()
  endif()
  add_executable(test_${layer} ${sources})
  target_link_libraries(test_${layer} PRIVATE hone_test_support)
  set(list "${PROJECT_BINARY_DIR}/test_${layer}.cmake")
  file(CONFIGURE OUTPUT "${list}" @ONLY CONTENT [[
set(program "@CMAKE_RUNTIME_OUTPUT_DIRECTORY@/test_@layer@")
set(layer "@layer@")
include("@PROJECT_SOURCE_DIR@/cmake/DiscoverTests.cmake")
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${list}")
endforeach()

file(GLOB hone_test_scripts CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/tools/*.sh")
foreach(script IN LISTS hone_test_scripts)
  get_filename_component(name "${script}" NAME_WE)
  add_test(NAME "tools: ${name}" COMMAND bash "${script}")
  set_tests_properties("tools: ${name}" PROPERTIES TIMEOUT 600 SKIP_RETURN_CODE 77
    ENVIRONMENT "HONE=$<TARGET_FILE:hone_tool>;SOURCES=${PROJECT_SOURCE_DIR}")
  file(STRINGS "${script}" slow REGEX "^# slow")
  if(slow)
    set_tests_properties("tools: ${name}" PROPERTIES LABELS slow)
  endif()
endforeach()
