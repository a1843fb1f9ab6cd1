// A file that grows while others read it.
#include "report/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "hone/support/error.h"

namespace hone::report {

AppendFile::AppendFile(std::string path, bool must_be_new) : path_(std::move(path)) {
  constexpr mode_t by_umask = 0666;
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (must_be_new ? O_EXCL : 0), by_umask);
  if (descriptor_ < 0) io_error(errno, "opening {}", quote(path_));
  struct stat status {};
  regular_ = ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
}

AppendFile::~AppendFile() { ::close(descriptor_); }

void AppendFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) io_error(errno, "writing {}", quote(path_));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string AppendFile::read() {
  std::string contents;
  if (!regular_) return contents;  // /dev/full never ends
  char window[1 << 16];
  for (;;) {
    const ssize_t count = ::pread(descriptor_, window, sizeof window, static_cast<off_t>(contents.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) io_error(errno, "reading {}", quote(path_));
    if (count == 0) return contents;
    contents.append(window, static_cast<std::size_t>(count));
  }
}

void AppendFile::truncate(std::uint64_t size) {
  if (regular_ && ::ftruncate(descriptor_, static_cast<off_t>(size)) != 0)
    io_error(errno, "shortening {}", quote(path_));
}

}  // namespace hone::report
