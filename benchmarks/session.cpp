// Runs a model on arrays of an .npz as often as it is told, for benchmarks/against_ort: reads a count from standard
// input, answers with the milliseconds of each run on one line.
//
// usage: bench_session MODEL INPUTS.npz THREADS [--cpu] [--profile RUNS]
//   --cpu           CPU time of the process in place of the clock's: for machines that others use, with one thread
//   --profile RUNS  instead: the nodes that took longest
#include "hone/exec/session.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

#include "hone/data/npy.h"
#include "hone/onnx/read.h"
#include "hone/support/buffer.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"

namespace {

double now(bool cpu) {
  timespec time{};
  clock_gettime(cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

int run(int argc, char** argv) {
  bool cpu = false;
  int profile = 0;
  for (int i = 4; i < argc; ++i) {
    if (std::strcmp(argv[i], "--cpu") == 0) cpu = true;
    if (std::strcmp(argv[i], "--profile") == 0 && i + 1 < argc) profile = std::atoi(argv[++i]);
  }
  hone::set_threads(std::atoi(argv[3]));
  const double start = now(cpu);
  const hone::ir::Model model = hone::onnx::read(argv[1]);
  hone::exec::SessionOptions options;
  options.profile = profile > 0;
  hone::exec::Session session(model, options);
  const double created = now(cpu) - start;
  const auto archive = hone::data::NpzReader::open(argv[2]);
  std::vector<hone::ir::NamedDatum> inputs;
  for (const std::string& name : archive.names()) inputs.push_back({name, archive.read(name).loaded()});
  if (profile > 0) {
    for (int i = 0; i < profile; ++i) session.run_shared(inputs);
    auto nodes = session.profile();
    double total = 0;
    for (const auto& node : nodes) total += node.seconds;
    std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    for (std::size_t i = 0; i < nodes.size() && i < 40; ++i) {
      std::cout << fmt::format("{:9.1f} us {:5.1f} %  {:20} {:30} {}\n", nodes[i].seconds / profile * 1e6,
                               100 * nodes[i].seconds / total, nodes[i].node->op_type(), nodes[i].kernel,
                               nodes[i].node->name());
    }
    std::cout << fmt::format("{:9.1f} us in {} nodes\n", total / profile * 1e6, nodes.size());
    return 0;
  }
  std::cout << fmt::format("created {:.3f} ms\n", created) << std::flush;
  for (int count = 0; std::cin >> count;) {
    for (int i = 0; i < count; ++i) {
      const double before = now(cpu);
      session.run_shared(inputs);
      std::cout << fmt::format("{:.6f} ", now(cpu) - before);
    }
    std::cout << "\n" << std::flush;
  }
  std::cerr << fmt::format("peak {:.1f} MB\n", static_cast<double>(hone::memory_peak()) * 1e-6);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: bench_session MODEL INPUTS.npz THREADS [--cpu] [--profile RUNS]\n";
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const hone::Error& error) {
    std::cerr << error.what() << "\n";
    return hone::exit_code(error.kind());
  }
}
