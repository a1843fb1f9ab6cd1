// Zip archives: read by minizip, members one by one; written here, stored and in one pass.
//
// Not handled: encrypted members, methods other than stored and deflated, archives cut in parts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hone/data/bytes.h"
#include "hone/support/file.h"
#include "hone/support/output.h"

namespace hone::data {

struct ZipMember {
  std::string name;
  std::uint64_t size = 0, compressed_size = 0;
  std::uint64_t directory_offset = 0, index = 0;  // its entry in the archive's directory
  bool stored = false;
};

class ZipReader {
 public:
  // Reads the directory. Raises bad_input if it is damaged.
  explicit ZipReader(std::shared_ptr<const File> file);

  const std::vector<ZipMember>& members() const { return members_; }
  const ZipMember* find(std::string_view name) const;
  // Each reader stands alone; several may be used at once.
  std::unique_ptr<ByteReader> open(const ZipMember& member) const;
  // Where the bytes of a stored member lie; nullopt for one that is compressed. Its checksum is not compared.
  std::optional<FileSlice> slice(const ZipMember& member) const;

 private:
  std::shared_ptr<const File> file_;
  std::vector<ZipMember> members_;
};

// Writes members uncompressed, with one fixed date: the same contents give the same bytes. Zip64 where it is needed.
class ZipWriter {
 public:
  explicit ZipWriter(Output& output);
  ~ZipWriter();

  // Then exactly `size` bytes, whose CRC-32 is `crc`, are written to the output by the caller.
  void begin(std::string_view name, std::uint64_t size, std::uint32_t crc);
  void finish();  // the directory

 private:
  struct Entry;
  Output& output_;
  std::uint64_t start_;
  std::vector<Entry> entries_;
};

}  // namespace hone::data
