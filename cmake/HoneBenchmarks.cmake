# Each benchmarks/<name>.cpp becomes one program, bench_<name>, of Google Benchmark.
find_package(benchmark REQUIRED CONFIG)
file(GLOB hone_benchmarks CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/benchmarks/*.cpp")
foreach(source IN LISTS hone_benchmarks)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(bench_${name} "${source}")
  target_link_libraries(bench_${name} PRIVATE
    hone::hone hone_compiler benchmark::benchmark_main ONNX::onnx Eigen3::Eigen fmt::fmt)
  target_include_directories(bench_${name} PRIVATE "${PROJECT_SOURCE_DIR}/lib")
endforeach()
