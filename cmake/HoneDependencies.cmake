# The libraries that hone is made of: from the distribution, and from the prefix HONE_DEPS that scripts/setup fills.
# Read by hone's own build, and by an installed honeConfig.cmake for those that link libhone.a.
list(PREPEND CMAKE_PREFIX_PATH "${HONE_DEPS}")

# Linked statically: a shared protobuf costs a few milliseconds of relocations at every start.
set(Protobuf_USE_STATIC_LIBS ON)
find_package(Protobuf REQUIRED MODULE)  # Debian's package has no protobuf-config.cmake
find_package(ONNX 1.23 QUIET CONFIG)
if(NOT ONNX_FOUND)
  message(FATAL_ERROR "ONNX C++ was not found in ${HONE_DEPS}: run scripts/setup first")
endif()
find_package(Threads REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(fmt REQUIRED CONFIG)
find_package(nlohmann_json REQUIRED CONFIG)
find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(nettle REQUIRED QUIET IMPORTED_TARGET nettle)
pkg_check_modules(minizip REQUIRED QUIET IMPORTED_TARGET minizip)
# Linked statically, too: one operator in a hundred models needs it.
find_library(HONE_RE2 NAMES libre2.a re2 REQUIRED)
mark_as_advanced(HONE_RE2)
if(NOT TARGET RE2::re2)
  add_library(RE2::re2 UNKNOWN IMPORTED)
  set_target_properties(RE2::re2 PROPERTIES IMPORTED_LOCATION "${HONE_RE2}")
endif()
# Its header only: the library is loaded by models that decode images.
find_path(HONE_LEPTONICA leptonica/allheaders.h REQUIRED)
mark_as_advanced(HONE_LEPTONICA)
if(HONE_ONEDNN)
  find_package(dnnl 3 REQUIRED CONFIG)
endif()
if(HONE_OPENMP)
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()
