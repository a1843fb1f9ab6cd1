#include "hone/support/output.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <thread>

#include "error_message.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"
#include "pattern.h"
#include "temporary_folder.h"

namespace {

using hone::ErrorKind;
using hone::File;
using hone::FileSlice;
using hone::Output;
using hone::testing::error_of;
using hone::testing::pattern;
using hone::testing::TemporaryFolder;
namespace fs = std::filesystem;
using Names = std::vector<std::string>;

// A process id that no process has.
pid_t dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

}  // namespace

TEST_CASE("a file appears whole when it is committed") {
  const TemporaryFolder folder;
  const auto output = Output::to_path(folder.path("m.onnx"));
  output->write("hello ");
  output->write("world");
  CHECK(output->written() == 11);
  CHECK_FALSE(fs::exists(folder.path("m.onnx")));
  output->commit();
  CHECK(folder.read("m.onnx") == "hello world");
  CHECK(folder.list() == Names{"m.onnx"});
}

TEST_CASE("without commit nothing is left and the old file stays") {
  const TemporaryFolder folder;
  folder.write("m.onnx", "old");
  {
    const auto output = Output::to_path(folder.path("m.onnx"));
    output->write(pattern(1 << 20));
    CHECK(folder.list().size() == 2);
    CHECK(folder.read("m.onnx") == "old");
  }
  CHECK(folder.list() == Names{"m.onnx"});
  CHECK(folder.read("m.onnx") == "old");
}

TEST_CASE("many small and few large writes keep their order") {
  const TemporaryFolder folder;
  const auto output = Output::to_path(folder.path("out"));
  std::string expected;
  for (const std::size_t size : {1, 100, 262143, 1, 262144, 7, 262145, 0, 1000000, 3, 131072, 131072, 131073}) {
    const std::string piece = pattern(size);
    expected += piece;
    output->write(piece);
  }
  CHECK(output->written() == expected.size());
  output->commit();
  CHECK((folder.read("out") == expected));
}

TEST_CASE("slices are copied between the writes around them") {
  const TemporaryFolder folder;
  const std::string bytes = pattern(3000000);
  const auto on_disk = File::open(folder.write("in", bytes));
  const auto in_memory = File::from_memory(bytes, "memory");
  for (const auto& file : {on_disk, in_memory}) {
    const auto output = Output::to_path(folder.path("out"));
    output->write("head");
    output->write(FileSlice{file, 4, 1000000});  // at the same offset in both files
    output->write(FileSlice{file, 1, 2999999});
    output->write("middle");
    output->write(FileSlice{file, 10, 100});
    output->write(FileSlice{file, 3000000, 0});
    CHECK(output->written() == 4 + 1000000 + 2999999 + 6 + 100);
    output->commit();
    CHECK(
        (folder.read("out") == "head" + bytes.substr(4, 1000000) + bytes.substr(1) + "middle" + bytes.substr(10, 100)));
  }
}

TEST_CASE("slices go to pipes and strings, too") {
  const TemporaryFolder folder;
  const std::string bytes = pattern(3000000);
  const auto file = File::open(folder.write("in", bytes));
  std::string text = "old";
  const auto output = Output::to_string(text);
  output->write("head");
  output->write(FileSlice{file, 4, 2000000});
  output->commit();
  CHECK((text == "head" + bytes.substr(4, 2000000)));
  CHECK(output->written() == text.size());

  REQUIRE(::mkfifo(folder.path("fifo").c_str(), 0600) == 0);
  std::string received;
  std::thread reader([&] { received = folder.read("fifo"); });
  {
    const auto pipe = Output::to_path(folder.path("fifo"));
    pipe->write("head");
    pipe->write(FileSlice{file, 4, 2000000});
    pipe->commit();
    CHECK(pipe->written() == text.size());
  }
  reader.join();
  CHECK((received == text));
  CHECK(folder.list() == Names{"fifo", "in"});
}

TEST_CASE("a source that has become too short is an error, and nothing is left") {
  const TemporaryFolder folder;
  const auto file = File::open(folder.write("in", pattern(3000000)));
  fs::resize_file(folder.path("in"), 2000000);
  const auto error = error_of([&] {
    const auto output = Output::to_path(folder.path("out"));
    output->write(FileSlice{file, 0, 3000000});
  });
  CHECK(error.kind() == ErrorKind::io);
  CHECK_THAT(error.message(), Catch::Contains("in became shorter while it was read"));
  CHECK(folder.list() == Names{"in"});
}

TEST_CASE("a file may be written over itself") {
  const TemporaryFolder folder;
  const std::string bytes = pattern(3000000);
  const auto file = File::open(folder.write("m.onnx", bytes));
  const auto output = Output::to_path(folder.path("m.onnx"));
  output->write(FileSlice{file, 1500000, 1500000});
  output->write(FileSlice{file, 0, 1500000});
  output->commit();
  CHECK((folder.read("m.onnx") == bytes.substr(1500000) + bytes.substr(0, 1500000)));
}

TEST_CASE("permissions are those that umask leaves") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  hone::write_file(folder.path("report.json"), "{}");
  ::umask(before);
  struct stat status {};
  REQUIRE(::stat(folder.path("report.json").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("a link at the output path stays, and what it leads to is replaced") {
  const TemporaryFolder folder;
  folder.write("store/v1.onnx", "old");
  fs::create_symlink("store/v1.onnx", folder.path("m.onnx"));
  fs::create_symlink("m.onnx", folder.path("latest"));
  hone::write_file(folder.path("latest"), "new");
  CHECK(folder.read("store/v1.onnx") == "new");
  CHECK(fs::is_symlink(folder.path("m.onnx")));
  CHECK(folder.list() == Names{"latest", "m.onnx", "store"});
  // A link may lead to a file that is yet to be.
  fs::create_symlink(folder.path("store/v2.onnx"), folder.path("next"));
  hone::write_file(folder.path("next"), "v2");
  CHECK(folder.read("store/v2.onnx") == "v2");
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  hone::write_file("m.onnx", "newer");
  fs::current_path(before);
  CHECK(folder.read("store/v1.onnx") == "newer");
}

TEST_CASE("paths that can't be written are errors that name them") {
  const TemporaryFolder folder;
  CHECK(error_of([&] { Output::to_path(folder.path()); }).message() == "writing " + folder.path() + ": Is a directory");
  CHECK(error_of([&] { Output::to_path(folder.path("no/m.onnx")); }).kind() == ErrorKind::io);
  CHECK(error_of([&] { Output::to_path(folder.path("m.onnx/")); }).kind() == ErrorKind::io);
  CHECK(error_of([&] { Output::to_path(folder.path(std::string(256, 'x'))); }).kind() == ErrorKind::io);
  CHECK(error_of([&] { Output::to_path(""); }).kind() == ErrorKind::usage);
  CHECK(error_of([&] { Output::to_path(std::string("a\0b", 3)); }).kind() == ErrorKind::usage);
  fs::create_symlink("loop", folder.path("loop"));
  CHECK(error_of([&] { Output::to_path(folder.path("loop")); }).kind() == ErrorKind::io);
  if (::geteuid() != 0) {
    folder.write("frozen", "old");
    ::chmod(folder.path("frozen").c_str(), 0444);
    CHECK(error_of([&] { Output::to_path(folder.path("frozen")); }).kind() == ErrorKind::io);
  }
  CHECK(folder.list().front() != ".m.onnx");
}

TEST_CASE("the longest file name still works") {
  const TemporaryFolder folder;
  const std::string name(255, 'x');
  hone::write_file(folder.path(name), "long");
  CHECK(folder.list() == Names{name});
}

TEST_CASE("a full disk is an io error no later than commit") {
  const auto error = error_of([] {
    const auto output = Output::to_path("/dev/full");
    output->write("x");
    output->commit();
  });
  CHECK(error.kind() == ErrorKind::io);
  CHECK(error.message() == "writing /dev/full: No space left on device");
  CHECK(fs::is_character_file("/dev/full"));
}

TEST_CASE("a file that may not grow is an io error, the old one stays and nothing is left") {
  const TemporaryFolder folder;
  folder.write("m.onnx", "old");
  const auto source = File::open(folder.write("in", pattern(3000000)));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100000, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const auto by_bytes = error_of([&] { hone::write_file(folder.path("m.onnx"), pattern(3000000)); });
  const auto by_slice = error_of([&] {
    Output::to_path(folder.path("m.onnx"))->write(FileSlice{source, 0, source->size()});
  });
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, ignored);
  CHECK(by_bytes.message() == "writing " + folder.path("m.onnx") + ": File too large");
  CHECK(by_slice.kind() == ErrorKind::io);
  CHECK(folder.read("m.onnx") == "old");
  CHECK(folder.list() == Names{"in", "m.onnx"});
}

TEST_CASE("devices are written, not replaced") {
  hone::write_file("/dev/null", pattern(1000000));
  CHECK(fs::is_character_file("/dev/null"));
}

TEST_CASE("/dev/fd/N is the open descriptor, even where it is a file") {
  const TemporaryFolder folder;
  const int descriptor = ::open(folder.write("log", "old ").c_str(), O_WRONLY | O_APPEND);
  const auto source = File::open(folder.write("in", pattern(500000)));
  for (const char* form : {"/dev/fd/{}", "/proc/self/fd/{}"}) {
    const auto output = Output::to_path(fmt::format(fmt::runtime(form), descriptor));
    output->write("new ");
    output->write(FileSlice{source, 4, 400000});  // the kernel refuses to copy to a file opened to append
    output->commit();
  }
  ::close(descriptor);
  CHECK((folder.read("log") ==
         "old new " + pattern(500000).substr(4, 400000) + "new " + pattern(500000).substr(4, 400000)));
  CHECK(folder.list() == Names{"in", "log"});
}

TEST_CASE("a terminal is refused") {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) return;
  const int other = ::open(::ptsname(terminal), O_RDWR | O_NOCTTY);
  if (other >= 0) {
    CHECK(error_of([&] { Output::to_path("/dev/fd/" + std::to_string(other)); }).kind() == ErrorKind::usage);
    ::close(other);
  }
  ::close(terminal);
}

TEST_CASE("a closed pipe is an io error where SIGPIPE is ignored") {
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  ::close(ends[0]);
  const auto error = error_of([&] { hone::write_file("/dev/fd/" + std::to_string(ends[1]), "x"); });
  ::close(ends[1]);
  ::signal(SIGPIPE, before);
  CHECK(error.kind() == ErrorKind::io);
  CHECK_THAT(error.message(), Catch::EndsWith("Broken pipe"));
}

TEST_CASE("temporaries of dead processes are removed, others are left") {
  const TemporaryFolder folder;
  const std::string dead = std::to_string(dead_process());
  const Names kept = {".m.onnx.hone-" + std::to_string(::getppid()) + "-0",  // alive
                      ".m.onnx.hone-" + dead + "-1",                         // dead by its id, but locked by somebody
                      ".m.onnx.hone-notes", ".other.onnx.hone-" + dead + "-0"};
  for (const std::string& name : kept) folder.write(name, "");
  const int locked = ::open(folder.path(kept[1]).c_str(), O_RDONLY);
  REQUIRE(::flock(locked, LOCK_EX) == 0);
  folder.write(".m.onnx.hone-" + dead + "-0", "half a mod");
  hone::write_file(folder.path("m.onnx"), "new");
  ::close(locked);
  Names expected = kept;
  expected.push_back("m.onnx");
  std::sort(expected.begin(), expected.end());
  CHECK(folder.list() == expected);
}

TEST_CASE("a killed process leaves the old file, and its temporary goes with the next write") {
  const TemporaryFolder folder;
  folder.write("m.onnx", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    const auto output = Output::to_path(folder.path("m.onnx"));
    output->write(pattern(1000000));
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(child, nullptr, 0);
  CHECK(folder.read("m.onnx") == "old");
  CHECK(folder.list().size() == 2);
  hone::write_file(folder.path("m.onnx"), "new");
  CHECK(folder.list() == Names{"m.onnx"});
}

TEST_CASE("an interrupt stops a write, and nothing is left") {
  const TemporaryFolder folder;
  hone::request_interrupt(2);
  const auto error = error_of([&] { hone::write_file(folder.path("m.onnx"), "new"); });
  hone::request_interrupt(0);
  CHECK(error.kind() == ErrorKind::interrupted);
  CHECK(folder.list().empty());
}
