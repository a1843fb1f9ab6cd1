# The library: every source below lib/, every .proto below lib/.
# Public headers are in include/hone/<layer>/; a layer's private ones lie beside its sources and are included as
# "<layer>/header.h".
file(GLOB_RECURSE hone_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/lib/*.cpp")
file(GLOB_RECURSE hone_protos CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/lib/*.proto")
if(NOT HONE_ONEDNN)
  list(FILTER hone_sources EXCLUDE REGEX "/lib/exec/onednn/")
endif()

add_library(hone STATIC ${hone_sources})
add_library(hone::hone ALIAS hone)
target_compile_features(hone PUBLIC cxx_std_20)
target_include_directories(hone
  PUBLIC "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
  PRIVATE "${PROJECT_SOURCE_DIR}/lib")
set_source_files_properties("${PROJECT_SOURCE_DIR}/lib/support/version.cpp" PROPERTIES
  COMPILE_DEFINITIONS "HONE_VERSION=\"${PROJECT_VERSION}\"")
# Nothing needs errno of mathematical functions or the flags of floating-point exceptions; what is computed stays as IEEE
# has it. For all sources, since a precompiled header wants them alike.
target_compile_options(hone PRIVATE -fno-math-errno -fno-trapping-math)
# Loops of the kernels are worth vectorizing where the length is known at run time only.
file(GLOB hone_kernels CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/lib/exec/reference/*.cpp")
set_source_files_properties(${hone_kernels} PROPERTIES COMPILE_OPTIONS
  "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-fvect-cost-model=dynamic>")
hone_precompile(hone)
hone_unity(hone LONE "/lib/(exec/.+|passes)/")
# Public headers show fmt and nlohmann/json; ONNX, protobuf, Eigen and the rest stay inside.
target_link_libraries(hone
  PUBLIC fmt::fmt nlohmann_json::nlohmann_json
  PRIVATE $<BUILD_INTERFACE:hone_compiler> ONNX::onnx protobuf::libprotobuf Eigen3::Eigen ZLIB::ZLIB PkgConfig::minizip PkgConfig::nettle RE2::re2 Threads::Threads ${CMAKE_DL_LIBS})
if(HONE_ONEDNN)
  target_link_libraries(hone PRIVATE DNNL::dnnl)
  target_compile_definitions(hone PRIVATE HONE_ONEDNN=1)
endif()
if(HONE_OPENMP)
  target_link_libraries(hone PRIVATE OpenMP::OpenMP_CXX)
endif()

include(HoneOperators)
target_include_directories(hone PRIVATE "${PROJECT_BINARY_DIR}/generated")
target_include_directories(hone SYSTEM PRIVATE "${HONE_LEPTONICA}")

set(hone_proto_dir "${PROJECT_BINARY_DIR}/proto")
foreach(proto IN LISTS hone_protos)
  file(RELATIVE_PATH name "${PROJECT_SOURCE_DIR}/lib" "${proto}")
  string(REGEX REPLACE "\\.proto$" ".pb" stem "${hone_proto_dir}/${name}")
  add_custom_command(OUTPUT "${stem}.cc" "${stem}.h"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${hone_proto_dir}"
    COMMAND protobuf::protoc "--proto_path=${PROJECT_SOURCE_DIR}/lib" "--cpp_out=${hone_proto_dir}" "${proto}"
    DEPENDS "${proto}" VERBATIM)
  set_source_files_properties("${stem}.cc" PROPERTIES COMPILE_OPTIONS -w SKIP_PRECOMPILE_HEADERS ON)
  target_sources(hone PRIVATE "${stem}.cc" "${stem}.h")
  list(APPEND hone_generated "${stem}.h")
endforeach()
add_custom_target(hone_generated DEPENDS ${hone_generated})
target_include_directories(hone SYSTEM PRIVATE "${hone_proto_dir}")
