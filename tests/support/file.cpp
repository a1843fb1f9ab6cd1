#include "hone/support/file.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <thread>

#include "error_message.h"
#include "hone/support/error.h"
#include "pattern.h"
#include "temporary_folder.h"

namespace {

using hone::ErrorKind;
using hone::File;
using hone::testing::error_kind;
using hone::testing::pattern;
using hone::testing::TemporaryFolder;

std::string read(const File& file, std::uint64_t offset, std::size_t length) {
  std::string bytes(length, '\0');
  file.read(offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}
std::string read(const File& file) { return read(file, 0, file.size()); }

// A pipe into which a thread writes.
class Stream {
 public:
  explicit Stream(std::string bytes) {
    REQUIRE(::pipe(ends_) == 0);
    writer_ = std::thread([this, bytes = std::move(bytes)] {
      for (std::size_t done = 0; done < bytes.size();) {
        const ssize_t put = ::write(ends_[1], bytes.data() + done, bytes.size() - done);
        if (put <= 0) break;
        done += static_cast<std::size_t>(put);
      }
      ::close(ends_[1]);
    });
  }
  ~Stream() {
    writer_.join();
    ::close(ends_[0]);
  }
  int descriptor() const { return ends_[0]; }

 private:
  int ends_[2];
  std::thread writer_;
};

}  // namespace

TEST_CASE("a file is read in ranges") {
  const TemporaryFolder folder;
  const auto file = File::open(folder.write("m.onnx", "0123456789"));
  CHECK(file->size() == 10);
  CHECK(file->name() == folder.path("m.onnx"));
  CHECK(read(*file) == "0123456789");
  CHECK(read(*file, 4, 3) == "456");
  CHECK(read(*file, 10, 0).empty());
  CHECK(file->descriptor() >= 0);
  CHECK((::fcntl(file->descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("reading beyond the end is an error that names the file") {
  const TemporaryFolder folder;
  for (const auto& file :
       {File::open(folder.write("m.onnx", "0123456789")), File::from_memory("0123456789", "m.onnx")}) {
    CHECK_THROWS_WITH(read(*file, 8, 3), Catch::Contains("m.onnx is too short: it has 10 bytes"));
    CHECK_THROWS_WITH(read(*file, ~std::uint64_t{0}, 3), Catch::Contains("too short"));
    CHECK(error_kind([&] { read(*file, 11, 0); }) == ErrorKind::io);
  }
}

TEST_CASE("a file that shrinks while it is read is an error, not a signal") {
  const TemporaryFolder folder;
  const auto file = File::open(folder.write("m.onnx", "0123456789"));
  REQUIRE(::truncate(folder.path("m.onnx").c_str(), 5) == 0);
  CHECK(read(*file, 0, 5) == "01234");
  CHECK_THROWS_WITH(read(*file, 4, 3), Catch::Contains("m.onnx became shorter while it was read"));
  CHECK(error_kind([&] { read(*file, 4, 3); }) == ErrorKind::io);
}

TEST_CASE("a file that was replaced is still read as it was") {
  const TemporaryFolder folder;
  const auto file = File::open(folder.write("m.onnx", "old"));
  std::filesystem::rename(folder.write("new", "new!"), folder.path("m.onnx"));
  CHECK(read(*file) == "old");
}

TEST_CASE("only regular files are opened, and none hangs") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, folder.path("socket").c_str());
  REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  ::close(socket);
  CHECK_THROWS_WITH(File::open(folder.path("fifo")), Catch::Contains("fifo is not a file but a pipe"));
  CHECK_THROWS_WITH(File::open(folder.path("socket")), Catch::Contains("is not a file but a socket"));
  CHECK_THROWS_WITH(File::open(folder.path()), Catch::Contains("is not a file but a folder"));
  CHECK_THROWS_WITH(File::open("/dev/zero"), "/dev/zero is not a file but a device");
  CHECK_THROWS_WITH(File::open(folder.path("none")), Catch::EndsWith("No such file or directory"));
  CHECK(error_kind([] { File::open(""); }) == ErrorKind::io);
  CHECK(error_kind([&] { File::open(folder.write("a", "") + '\0' + "b"); }) == ErrorKind::io);
  CHECK(error_kind([&] { File::open(folder.path("fifo")); }) == ErrorKind::io);
  folder.write("secret", "x");
  ::chmod(folder.path("secret").c_str(), 0);
  if (::geteuid() != 0) CHECK_THROWS_WITH(File::open(folder.path("secret")), Catch::EndsWith("Permission denied"));
}

TEST_CASE("a short stream stays in memory") {
  for (const std::size_t size : {std::size_t{0}, std::size_t{5}, std::size_t{1} << 20, (std::size_t{3} << 20) + 1}) {
    const std::string bytes = pattern(size);
    const Stream stream(bytes);
    const auto file = File::spool(stream.descriptor(), "-");
    CHECK(file->descriptor() == -1);
    CHECK(file->name() == "-");
    CHECK(read(*file) == bytes);
  }
}

TEST_CASE("a long stream goes to a temporary file that has no name") {
  const TemporaryFolder folder;
  const char* before = std::getenv("TMPDIR");
  const std::string old = before != nullptr ? before : "";
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  for (const std::size_t more : {std::size_t{0}, std::size_t{1}, std::size_t{5} << 20}) {
    const std::string bytes = pattern((std::size_t{64} << 20) + more);
    const Stream stream(bytes);
    const auto file = File::spool(stream.descriptor(), "-");
    CHECK(file->descriptor() >= 0);
    CHECK(file->size() == bytes.size());
    CHECK((read(*file) == bytes));
    CHECK(folder.list().empty());
  }
  ::setenv("TMPDIR", folder.path("none").c_str(), 1);
  {
    const Stream stream(pattern(std::size_t{65} << 20));
    CHECK_THROWS_WITH(File::spool(stream.descriptor(), "-"), Catch::Contains("set TMPDIR"));
    // Let the writer end.
    for (std::string rest(1 << 20, '\0'); ::read(stream.descriptor(), rest.data(), rest.size()) > 0;) {
    }
  }
  before != nullptr ? ::setenv("TMPDIR", old.c_str(), 1) : ::unsetenv("TMPDIR");
}

TEST_CASE("standard input that is a file is read in place, from where it stands") {
  const TemporaryFolder folder;
  const int descriptor = ::open(folder.write("m.onnx", "0123456789").c_str(), O_RDONLY);
  const auto whole = File::spool(descriptor, "-");
  CHECK(whole->descriptor() >= 0);
  CHECK(whole->descriptor() != descriptor);
  CHECK(read(*whole) == "0123456789");
  char two[2];
  REQUIRE(::read(descriptor, two, 2) == 2);
  CHECK(read(*File::spool(descriptor, "-")) == "23456789");
  ::close(descriptor);
  CHECK(read(*whole, 0, 1) == "0");
}

TEST_CASE("a stream that can't be read is an error") {
  const TemporaryFolder folder;
  const int descriptor = ::open(folder.path().c_str(), O_RDONLY);
  CHECK_THROWS_WITH(File::spool(descriptor, "-"), "reading -: Is a directory");
  ::close(descriptor);
  CHECK(error_kind([&] { File::spool(descriptor, "-"); }) == ErrorKind::io);
}

TEST_CASE("a stream that doesn't block is waited for") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_NONBLOCK) == 0);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(::write(ends[1], "late", 4) == 4);
    ::close(ends[1]);
  });
  const auto file = File::spool(ends[0], "-");
  writer.join();
  ::close(ends[0]);
  CHECK(read(*file) == "late");
}
