// fuzz_passes [--seed FIRST] [--count N] [--seconds S] [--output FOLDER]: random models through the passes, from one seed
// on. Each finding is printed, and written to FOLDER, made small, as SEED-PIPELINE.onnxtxt. Exit code 1 if there was one.
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "cases.h"

namespace {

using namespace hone::fuzz;

std::string file_name(std::uint64_t seed, const Finding& finding) {
  std::string name = std::to_string(seed) + "-" + finding.kind + "-" + finding.pipeline.substr(0, 60);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-') c = '_';
  }
  return name + ".onnxtxt";
}

void print(const Counts& counts, double seconds) {
  std::printf(
      "%llu models (%llu invalid, %llu not run), %llu pipelines, %llu changed a model, %llu runs compared, %llu "
      "unstable; %.0f s\n",
      static_cast<unsigned long long>(counts.models), static_cast<unsigned long long>(counts.invalid),
      static_cast<unsigned long long>(counts.not_run), static_cast<unsigned long long>(counts.pipelines),
      static_cast<unsigned long long>(counts.changed), static_cast<unsigned long long>(counts.runs),
      static_cast<unsigned long long>(counts.unstable), seconds);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t first = 0, count = 1000;
  double limit = 1e18;
  std::string folder;
  bool reasons = false, small = true;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--reasons") {
      reasons = true;
      continue;
    }
    if (option == "--text") {
      std::puts(model_text(first).c_str());
      return 0;
    }
    if (option == "--no-shrink") {
      small = false;
      continue;
    }
    if (i + 1 >= argc)
      return std::fprintf(stderr,
                          "usage: fuzz_passes [--seed FIRST] [--count N] [--seconds S] [--output FOLDER] [--reasons] "
                          "[--no-shrink]\n"),
             2;
    if (option == "--seed")
      first = std::strtoull(argv[++i], nullptr, 10);
    else if (option == "--count")
      count = std::strtoull(argv[++i], nullptr, 10);
    else if (option == "--seconds")
      limit = std::strtod(argv[++i], nullptr);
    else if (option == "--output")
      folder = argv[++i];
    else
      return std::fprintf(stderr, "fuzz_passes: unknown option %s\n", argv[i]), 2;
  }
  if (!folder.empty()) std::filesystem::create_directories(folder);
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  Counts counts;
  std::uint64_t found = 0;
  double next = 60;
  std::map<std::string, int> seen;  // a fault shows in many models: each kind is made small a few times only
  for (std::uint64_t seed = first; seed < first + count && elapsed() < limit; ++seed) {
    for (const Finding& finding : check_seed(seed, counts)) {
      ++found;
      std::printf("seed %llu, pipeline '%s': %s: %s\n", static_cast<unsigned long long>(seed), finding.pipeline.c_str(),
                  finding.kind.c_str(), finding.detail.c_str());
      std::fflush(stdout);
      if (!folder.empty() && ++seen[finding.kind + finding.pipeline.substr(0, finding.pipeline.find(','))] <= 2) {
        std::ofstream(folder + "/" + file_name(seed, finding))
            << "# pipeline: " << finding.pipeline << "\n# " << finding.kind << ": " << finding.detail << "\n"
            << (small ? shrink(seed, finding) : std::string()) << "\n";
      }
    }
    if (elapsed() > next) {
      print(counts, elapsed());
      next += 60;
    }
  }
  print(counts, elapsed());
  if (reasons) {
    for (const auto& [reason, times] : counts.invalid_reasons)
      std::printf("invalid %llu: %s\n", static_cast<unsigned long long>(times), reason.c_str());
    for (const auto& [reason, times] : counts.not_run_reasons)
      std::printf("not run %llu: %s\n", static_cast<unsigned long long>(times), reason.c_str());
    for (const auto& [pipeline, times] : counts.changed_by) {
      if (pipeline.find(',') == std::string::npos)
        std::printf("changed %llu: %s\n", static_cast<unsigned long long>(times), pipeline.c_str());
    }
  }
  return found > 0 ? 1 : 0;
}
