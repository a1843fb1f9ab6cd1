// Output that appears whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "hone/support/file.h"

namespace hone {

// A sequential byte sink. For a path: a temporary file in the same folder with permissions by umask, that commit()
// syncs and renames into place (the folder is synced too); without commit() it goes away, and an old file at the path
// stays as it was. A symbolic link at the path stays and the file it leads to is replaced. Devices, FIFOs, /dev/stdout
// and /dev/fd/N are written directly, as "-" is: standard output (refused with usage when it is a terminal); commit()
// flushes. A failed write raises io, no later than commit(). A pipe that nobody reads raises SIGPIPE, which ends a tool
// with status 141 unless the signal is ignored: then it is an io error. Temporaries that a killed process left for the
// same path are removed by the next one.
class Output {
 public:
  static std::unique_ptr<Output> to_path(const std::string& path);
  static std::unique_ptr<Output> to_string(std::string& target);  // for tests and library users; cleared first

  virtual ~Output() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  // Copies file to file in the kernel where both ends allow it (copy_file_range) and the slice begins at the same offset
  // in a page as it will in the output; in windows of 1 MiB elsewhere.
  virtual void write(const FileSlice& slice);
  virtual std::uint64_t written() const = 0;
  virtual void commit() = 0;
};

// Writes a small file (a report) the same way.
void write_file(const std::string& path, std::string_view contents);

}  // namespace hone
