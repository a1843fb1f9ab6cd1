// mutate_reader CORPUS [--seed FIRST] [--count N] [--output FOLDER]: the inputs of the corpus with random changes, each read
// as fuzz_reader does. A change of the corpus changes what a seed stands for. Findings are printed and written to FOLDER;
// an input is there while it is read, too, as `current`, for those that end the process. Exit code 1 if there was one.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "reader.h"

int main(int argc, char** argv) {
  if (argc < 2)
    return std::fprintf(stderr, "usage: mutate_reader CORPUS [--seed FIRST] [--count N] [--output FOLDER]\n"), 2;
  std::uint64_t first = 0, count = 10000, found = 0, slow = 0;
  std::string folder = "findings";
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--seed")
      first = std::strtoull(argv[i + 1], nullptr, 10);
    else if (option == "--count")
      count = std::strtoull(argv[i + 1], nullptr, 10);
    else if (option == "--output")
      folder = argv[i + 1];
    else
      return std::fprintf(stderr, "mutate_reader: unknown option %s\n", argv[i]), 2;
  }
  std::filesystem::create_directories(folder);
  const auto corpus = hone::fuzz::read_corpus(argv[1]);
  std::uint64_t done = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    hone::Random random(seed);
    const std::string bytes = hone::fuzz::mutate(corpus[random.below(corpus.size())], corpus, random);
    std::ofstream(folder + "/current", std::ios::binary) << bytes;
    const auto start = std::chrono::steady_clock::now();
    try {
      hone::fuzz::read_bytes(bytes);
    } catch (const std::exception& error) {
      ++found;
      std::printf("seed %llu (%c): %s\n", static_cast<unsigned long long>(seed), bytes[0], error.what());
      std::ofstream(folder + "/" + std::to_string(seed), std::ios::binary) << bytes;
    }
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() > 10) {
      ++slow;
      std::printf("seed %llu (%c): took more than 10 s\n", static_cast<unsigned long long>(seed), bytes[0]);
      std::ofstream(folder + "/" + std::to_string(seed) + "-slow", std::ios::binary) << bytes;
    }
    if (++done % 10000 == 0) {
      std::printf("%llu inputs, %llu findings\n", static_cast<unsigned long long>(done),
                  static_cast<unsigned long long>(found));
      std::fflush(stdout);
    }
  }
  std::printf("%llu inputs, %llu findings, %llu slow\n", static_cast<unsigned long long>(done),
              static_cast<unsigned long long>(found), static_cast<unsigned long long>(slow));
  return found + slow > 0 ? 1 : 0;
}
