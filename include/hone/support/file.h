// Files that are read in place.
//
// Not handled: writing (output.h). Reads go through pread, not mmap: a file that shrinks while it is read must be an
// error, not a SIGBUS, and pages of a mapping would count as memory of the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace hone {

class File {
 public:
  // Opens a regular file. Raises io when it is missing, unreadable, or not a regular file (directory, FIFO, device).
  static std::shared_ptr<const File> open(const std::string& path);
  // Reads all of standard input (or any descriptor): in place where it is a regular file from its beginning, into memory
  // up to 64 MiB, into an unlinked temporary file in $TMPDIR beyond. `name` is for messages.
  static std::shared_ptr<const File> spool(int descriptor, std::string name);
  // Bytes already in memory, as a file; for tests and library users.
  static std::shared_ptr<const File> from_memory(std::string bytes, std::string name);
  // As open(), relative to `directory` (empty: the working one), for a name that a model holds. Symbolic links are
  // followed where the real file lies below `directory` or below the folder of the real model file (`model_path` empty:
  // no such folder). Absolute names, names with "..", and links that lead elsewhere raise bad_input; see open_below.cpp
  // and docs/security.md.
  static std::shared_ptr<const File> open_below(const std::string& directory, const std::string& relative,
                                                const std::string& model_path);

  virtual ~File() = default;
  virtual std::uint64_t size() const = 0;  // when it was opened
  // Fills `out` from `offset`; raises io if the file is or has become too short or can't be read, naming the file.
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
  // A descriptor for copy_file_range, or -1 where the bytes are in memory.
  virtual int descriptor() const { return -1; }
  // As given by the user ("-" for standard input).
  const std::string& name() const { return name_; }

 protected:
  explicit File(std::string name) : name_(std::move(name)) {}

 private:
  std::string name_;
};

// A range of a file.
struct FileSlice {
  std::shared_ptr<const File> file;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

}  // namespace hone
