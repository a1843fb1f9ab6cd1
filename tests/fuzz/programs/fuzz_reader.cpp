// For libFuzzer: fuzz_reader -timeout=20 -rss_limit_mb=2048 NEW_CORPUS tests/fuzz/corpus
#include <cstddef>
#include <cstdint>

#include "reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hone::fuzz::read_bytes({reinterpret_cast<const char*>(data), size});
  return 0;
}
