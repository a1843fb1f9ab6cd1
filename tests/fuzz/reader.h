// Everything that reads bytes of strangers, behind one door: for libFuzzer, and for the driver below where there is none.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hone/support/random.h"

namespace hone::fuzz {

// The first byte says what the rest is: m ONNX, t ONNX text, n .npy, z .npz, c CSV, j JSON lines, i IDX, g a gate, p a
// pipeline of passes; anything else counts as m. A model that can be read is linted, inferred, rewritten (levels 1 and 2,
// with small limits), written and read again.
//
// Errors are what is expected of bad bytes. A fault raises std::logic_error: an Error of kind internal, any other
// exception, or a model that is not the same when written and read again.
void read_bytes(std::string_view bytes);

// A few random changes: of bits, bytes, runs, numbers, words; or parts of another input of the same kind.
std::string mutate(std::string bytes, const std::vector<std::string>& corpus, Random& random);

// The files of tests/fuzz/corpus/, in order of their names.
std::vector<std::string> read_corpus(const std::string& folder);

}  // namespace hone::fuzz
