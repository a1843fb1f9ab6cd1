// Files read in place: regular ones, standard input, bytes in memory.
//
// A FIFO or a device is refused before it is opened, so that neither can hang us or do something when opened. What is
// not noticed: a file that is changed while it is read but keeps its length.
#include "hone/support/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "hone/support/error.h"
#include "hone/support/threads.h"
#include "support/descriptor.h"
#include "support/regular_file.h"

namespace hone {
namespace {

// Standard input stays in memory up to this size: most models that travel through pipes are smaller, and a temporary
// file costs two copies.
constexpr std::size_t spool_in_memory = std::size_t{64} << 20;
constexpr std::size_t window = std::size_t{1} << 20;

void check_range(const File& file, std::uint64_t offset, std::uint64_t length) {
  if (offset <= file.size() && length <= file.size() - offset) return;
  fail(ErrorKind::io, "{} is too short: it has {} bytes, and {} are needed from byte {} on", printable(file.name()),
       file.size(), length, offset);
}

class DescriptorFile final : public File {
 public:
  DescriptorFile(Descriptor descriptor, std::uint64_t size, std::string name)
      : File(std::move(name)), descriptor_(std::move(descriptor)), size_(size) {}

  std::uint64_t size() const override { return size_; }
  int descriptor() const override { return descriptor_.get(); }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    check_range(*this, offset, out.size());
    while (!out.empty()) {
      const ssize_t got = ::pread(descriptor_.get(), out.data(), std::min(out.size(), std::size_t{1} << 30),
                                  static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) {
        check_interrupt();
        continue;
      }
      if (got < 0) io_error(errno, "reading {}", printable(name()));
      if (got == 0) {
        fail(ErrorKind::io, "{} became shorter while it was read: {} bytes at first, now less than {}",
             printable(name()), size_, offset + out.size());
      }
      out = out.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
  }

 private:
  Descriptor descriptor_;
  std::uint64_t size_;
};

class MemoryFile final : public File {
 public:
  MemoryFile(std::string bytes, std::string name) : File(std::move(name)), bytes_(std::move(bytes)) {}

  std::uint64_t size() const override { return bytes_.size(); }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    check_range(*this, offset, out.size());
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }

 private:
  std::string bytes_;
};

// Reads up to `size` bytes, fewer only at the end of the stream. Waits where the descriptor was opened not to block.
std::size_t read_stream(int descriptor, char* out, std::size_t size, const std::string& name) {
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t got = ::read(descriptor, out + filled, size - filled);
    if (got == 0) break;
    if (got > 0) {
      filled += static_cast<std::size_t>(got);
      continue;
    }
    if (errno == EAGAIN) {
      pollfd waiting{descriptor, POLLIN, 0};
      ::poll(&waiting, 1, -1);
    } else if (errno != EINTR) {
      io_error(errno, "reading {}", printable(name));
    }
    check_interrupt();
  }
  return filled;
}

// A file without a name, gone when it is closed.
Descriptor temporary_file(std::string& folder) {
  const char* variable = std::getenv("TMPDIR");
  folder = variable != nullptr && *variable != '\0' ? variable : "/tmp";
  Descriptor nameless(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600));
  if (nameless) return nameless;
  // A file system without O_TMPFILE.
  std::string path = folder + "/hone-XXXXXX";
  Descriptor named(::mkostemp(path.data(), O_CLOEXEC));
  if (!named) io_error(errno, "creating a temporary file in {} (set TMPDIR for another folder)", printable(folder));
  ::unlink(path.c_str());
  return named;
}

void write_all(int descriptor, const char* bytes, std::size_t size, const std::string& folder) {
  while (size > 0) {
    const ssize_t put = ::write(descriptor, bytes, size);
    if (put < 0 && errno != EINTR) {
      io_error(errno, "writing a temporary file in {} (set TMPDIR for another folder)", printable(folder));
    }
    check_interrupt();
    if (put > 0) bytes += put, size -= static_cast<std::size_t>(put);
  }
}

}  // namespace

Descriptor open_regular(int folder, const char* path, int flags, const std::string& name, struct stat& status) {
  const auto check_kind = [&] {
    if (S_ISREG(status.st_mode)) return;
    const char* kind = S_ISDIR(status.st_mode)    ? "a folder"
                       : S_ISFIFO(status.st_mode) ? "a pipe (give it on standard input, as -)"
                       : S_ISSOCK(status.st_mode) ? "a socket"
                                                  : "a device";
    fail(ErrorKind::io, "{} is not a file but {}", printable(name), kind);
  };
  const int follow = flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
  if (::fstatat(folder, path, &status, follow) != 0) io_error(errno, "opening {}", printable(name));
  check_kind();
  // O_NONBLOCK: should a FIFO have taken its place since, opening it must not wait.
  Descriptor file(::openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags));
  if (!file || ::fstat(file.get(), &status) != 0) io_error(errno, "opening {}", printable(name));
  check_kind();
  return file;
}

std::shared_ptr<const File> regular_file(Descriptor descriptor, const struct stat& status, std::string name) {
  return std::make_shared<DescriptorFile>(std::move(descriptor), static_cast<std::uint64_t>(status.st_size),
                                          std::move(name));
}

std::shared_ptr<const File> File::open(const std::string& path) {
  if (path.find('\0') != std::string::npos) fail(ErrorKind::io, "opening {}: no file name holds a NUL", quote(path));
  struct stat status {};
  Descriptor file = open_regular(AT_FDCWD, path.c_str(), 0, path, status);
  return regular_file(std::move(file), status, path);
}

std::shared_ptr<const File> File::from_memory(std::string bytes, std::string name) {
  return std::make_shared<MemoryFile>(std::move(bytes), std::move(name));
}

std::shared_ptr<const File> File::spool(int descriptor, std::string name) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) io_error(errno, "reading {}", printable(name));
  // `< model.onnx`: the file is already one that can be read in place.
  if (S_ISREG(status.st_mode) && ::lseek(descriptor, 0, SEEK_CUR) == 0) {
    Descriptor copy(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (copy) return regular_file(std::move(copy), status, std::move(name));
  }

  std::string bytes;
  std::size_t filled = 0;
  for (std::size_t room = window; filled < spool_in_memory; room = std::min(2 * room, spool_in_memory)) {
    bytes.resize(room);
    filled += read_stream(descriptor, bytes.data() + filled, room - filled, name);
    if (filled < room) {
      bytes.resize(filled);
      bytes.shrink_to_fit();
      return from_memory(std::move(bytes), std::move(name));
    }
  }

  std::string folder;
  Descriptor file = temporary_file(folder);
  std::uint64_t size = 0;
  do {
    write_all(file.get(), bytes.data(), filled, folder);
    size += filled;
    bytes.resize(window);
    filled = read_stream(descriptor, bytes.data(), window, name);
  } while (filled > 0);
  status.st_size = static_cast<off_t>(size);
  return regular_file(std::move(file), status, std::move(name));
}

}  // namespace hone
