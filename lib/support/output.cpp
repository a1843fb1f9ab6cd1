// Output: a file that appears whole or not at all, standard output, a device, a string.
//
// Not handled: the owner, permissions and extended attributes of a file that is replaced; sparse output.
#include "hone/support/output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "hone/support/error.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"
#include "support/descriptor.h"
#include "support/temporary.h"

namespace hone {
namespace {

// Many small writes become few calls; a weight larger than this goes straight through.
constexpr std::size_t buffer_size = std::size_t{1} << 18;
constexpr std::size_t window = std::size_t{1} << 20;
// Where source and target lie at unlike offsets in their pages, no file system can share blocks, and the kernel copies page
// by page in two pieces: measured on ext4, 1.6 times the work of reading and writing windows.
constexpr std::uint64_t page = 4096;
// Between two calls of copy_file_range an interrupt is noticed.
constexpr std::uint64_t kernel_window = std::uint64_t{64} << 20;

// Writes to a descriptor through a buffer.
class DescriptorOutput : public Output {
 public:
  DescriptorOutput(Descriptor descriptor, std::string name)
      : descriptor_(std::move(descriptor)), name_(std::move(name)) {
    buffer_.reserve(buffer_size);
  }

  using Output::write;

  void write(std::span<const std::byte> bytes) override {
    written_ += bytes.size();
    if (bytes.size() > buffer_size - buffer_.size()) flush();
    if (bytes.size() >= buffer_size) {
      put(bytes);
    } else {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    }
  }

  void write(const FileSlice& slice) override {
    FileSlice rest = slice;
    if (slice.file->descriptor() >= 0 && slice.length >= buffer_size && slice.offset % page == written_ % page) {
      flush();
      const std::uint64_t copied = copy_in_kernel(slice);
      rest.offset += copied;
      rest.length -= copied;
    }
    Output::write(rest);
  }

  std::uint64_t written() const override { return written_; }
  void commit() override { flush(); }

 protected:
  void flush() {
    put(buffer_);
    buffer_.clear();
  }
  int descriptor() const { return descriptor_.get(); }
  const std::string& name() const { return name_; }
  // Closes, and says whether that worked: some file systems report a full disk only then.
  bool close() { return ::close(descriptor_.release()) == 0; }

 private:
  void put(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      check_interrupt();
      const ssize_t put = ::write(descriptor_.get(), bytes.data(), std::min(bytes.size(), std::size_t{1} << 30));
      if (put >= 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(put));
      } else if (errno == EAGAIN) {  // standard output that somebody set not to block
        pollfd waiting{descriptor_.get(), POLLOUT, 0};
        ::poll(&waiting, 1, -1);
      } else if (errno != EINTR) {
        io_error(errno, "writing {}", printable(name_));
      }
    }
  }

  // Copies the beginning of the slice, and returns how much: all of it, or as far as the kernel could. Pipes, devices,
  // files opened to append and ends on two unlike file systems it leaves to us, and likewise a file that has become too
  // short: reading it raises the error.
  std::uint64_t copy_in_kernel(const FileSlice& slice) {
    std::uint64_t copied = 0;
    while (copied < slice.length && kernel_copies_) {
      check_interrupt();
      auto from = static_cast<off64_t>(slice.offset + copied);
      const ssize_t put = ::copy_file_range(slice.file->descriptor(), &from, descriptor_.get(), nullptr,
                                            std::min(slice.length - copied, kernel_window), 0);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO)) {
        io_error(errno, "copying {} to {}", printable(slice.file->name()), printable(name_));
      }
      if (put < 0) kernel_copies_ = false;
      if (put <= 0) break;
      copied += static_cast<std::uint64_t>(put);
      written_ += static_cast<std::uint64_t>(put);
    }
    return copied;
  }

  Descriptor descriptor_;
  std::string name_;
  std::vector<std::byte> buffer_;
  std::uint64_t written_ = 0;
  bool kernel_copies_ = true;
};

// Writes a temporary file that takes the place of the target.
class ReplacingOutput final : public DescriptorOutput {
 public:
  ReplacingOutput(Temporary temporary, Descriptor file, std::string name)
      : DescriptorOutput(std::move(file), std::move(name)), temporary_(std::move(temporary)) {}

  void commit() override {
    flush();
    check_interrupt();
    if (::fsync(descriptor()) != 0) io_error(errno, "writing {}", printable(name()));
    if (!close()) io_error(errno, "writing {}", printable(name()));
    temporary_.rename_into_place(name());
  }

 private:
  Temporary temporary_;
};

class StringOutput final : public Output {
 public:
  explicit StringOutput(std::string& target) : target_(target) { target_.clear(); }
  using Output::write;
  void write(std::span<const std::byte> bytes) override {
    target_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::uint64_t written() const override { return target_.size(); }
  void commit() override {}

 private:
  std::string& target_;
};

std::unique_ptr<Output> to_descriptor(int number, const std::string& name) {
  if (::isatty(number) != 0)
    usage_error("{}: refusing to write a model to a terminal; name a file or use a pipe", name);
  Descriptor copy(::fcntl(number, F_DUPFD_CLOEXEC, 0));
  if (!copy) io_error(errno, "writing {}", name);
  return std::make_unique<DescriptorOutput>(std::move(copy), name);
}

// The descriptor that a path such as /dev/stdout means, or -1. Opened by name, a regular file there would be replaced
// behind the back of the shell that opened it.
int descriptor_of(std::string_view path) {
  if (path == "-" || path == "/dev/stdout") return 1;
  if (path == "/dev/stderr") return 2;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    if (const auto number = parse_int64(path.substr(folder.size())); number && *number >= 0 && *number < 1 << 20) {
      return static_cast<int>(*number);
    }
  }
  return -1;
}

}  // namespace

void Output::write(const FileSlice& slice) {
  std::vector<std::byte> bytes(std::min<std::uint64_t>(slice.length, window));
  for (std::uint64_t done = 0; done < slice.length; done += bytes.size()) {
    bytes.resize(std::min<std::uint64_t>(slice.length - done, window));
    slice.file->read(slice.offset + done, bytes);
    write(bytes);
  }
}

std::unique_ptr<Output> Output::to_path(const std::string& path) {
  if (path.empty()) usage_error("the output path is empty");
  if (path.find('\0') != std::string::npos) usage_error("{}: no file name holds a NUL", quote(path));
  if (const int number = descriptor_of(path); number >= 0)
    return to_descriptor(number, path == "-" ? "standard output" : path);

  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    for (;;) {
      Descriptor direct(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
      if (direct) return std::make_unique<DescriptorOutput>(std::move(direct), path);
      if (errno != EINTR) io_error(errno, "writing {}", printable(path));
      check_interrupt();  // a FIFO waits for its reader
    }
  }
  // A rename would not ask for the permission to write that the old file withholds.
  if (exists && ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0)
    io_error(errno, "writing {}", printable(path));

  Descriptor file;
  Temporary temporary = Temporary::create(path, file);
  return std::make_unique<ReplacingOutput>(std::move(temporary), std::move(file), path);
}

std::unique_ptr<Output> Output::to_string(std::string& target) { return std::make_unique<StringOutput>(target); }

void write_file(const std::string& path, std::string_view contents) {
  const std::unique_ptr<Output> output = Output::to_path(path);
  output->write(contents);
  output->commit();
}

}  // namespace hone
