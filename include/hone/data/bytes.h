// Bytes read in order: of a file, of a gzip stream, of one member of a zip archive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "hone/support/file.h"

namespace hone::data {

class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // Fills the front of `out` and returns how much; 0 only at the end, where checksums have been compared. Raises
  // bad_input where the data are cut short or damaged.
  virtual std::size_t read(std::span<std::byte> out) = 0;
};

// Fills all of `out`; raises bad_input saying that `what` ends early.
void read_exactly(ByteReader& reader, std::span<std::byte> out, const char* what);
// Raises bad_input if anything follows.
void expect_end(ByteReader& reader, const char* what);

std::unique_ptr<ByteReader> read_in_order(std::shared_ptr<const File> file);
bool is_gzip(const File& file);
// The contents of a .gz file.
std::unique_ptr<ByteReader> gunzip(std::shared_ptr<const File> file);
// gunzip() for gzip files, read_in_order() for others.
std::unique_ptr<ByteReader> open_bytes(std::shared_ptr<const File> file);

// Raises bad_input for what only exists to fill memory: data compressed more than numbers or text ever are.
void check_inflation(std::uint64_t compressed, std::uint64_t inflated);

}  // namespace hone::data
