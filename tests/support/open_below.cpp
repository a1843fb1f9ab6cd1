#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "hone/support/error.h"
#include "hone/support/file.h"
#include "temporary_folder.h"

namespace {

using hone::ErrorKind;
using hone::File;
using hone::testing::TemporaryFolder;
namespace fs = std::filesystem;

std::string contents(const File& file) {
  std::string bytes(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

// The model of these tests is models/m.onnx; secret lies beside its folder.
struct Models : TemporaryFolder {
  Models() {
    write("models/m.onnx", "model");
    write("models/w.bin", "weights");
    write("models/sub/w.bin", "more");
    write("secret", "secret");
  }
  std::shared_ptr<const File> open(const std::string& relative) const {
    return File::open_below(path("models"), relative, path("models/m.onnx"));
  }
  ErrorKind error(const std::string& relative) const {
    try {
      open(relative);
    } catch (const hone::Error& error) {
      message = error.message();
      return error.kind();
    }
    FAIL(hone::quote(relative) + " was opened");
    return {};
  }
  mutable std::string message;
};

}  // namespace

TEST_CASE("external data below the folder is opened") {
  const Models models;
  CHECK(contents(*models.open("w.bin")) == "weights");
  CHECK(contents(*models.open("./w.bin")) == "weights");
  CHECK(contents(*models.open("sub//w.bin")) == "more");
  CHECK(models.open("sub/w.bin")->name() == models.path("models/sub/w.bin"));
  models.write("models/a/b/c/w.bin", "deep");
  CHECK(contents(*models.open("a/b/c/w.bin")) == "deep");
  models.write("models/..w", "dots");
  models.write("models/~w", "tilde");
  models.write("models/w8:1", "colon");
  CHECK(contents(*models.open("..w")) == "dots");
  CHECK(contents(*models.open("~w")) == "tilde");
  CHECK(contents(*models.open("w8:1")) == "colon");
}

TEST_CASE("names that could leave the folder are refused before anything is opened") {
  const Models models;
  const std::string absolute = models.path("models/w.bin");
  for (const std::string& name : {std::string(),
                                  std::string("w.bin\0", 6),
                                  absolute,
                                  std::string("/etc/passwd"),
                                  std::string("../secret"),
                                  std::string("../models/w.bin"),
                                  std::string("sub/../w.bin"),
                                  std::string("sub/.."),
                                  std::string(".."),
                                  std::string("..\\secret"),
                                  std::string("sub\\..\\..\\secret"),
                                  std::string("C:\\w.bin"),
                                  std::string("c:w.bin"),
                                  std::string("\\\\server\\share\\w.bin"),
                                  std::string("\\w.bin"),
                                  std::string("file:w.bin"),
                                  std::string("FILE:///etc/passwd"),
                                  std::string("https://host/w.bin"),
                                  std::string("~"),
                                  std::string("~/w.bin"),
                                  std::string("~root/w.bin")}) {
    INFO(hone::quote(name));
    CHECK(models.error(name) == ErrorKind::bad_input);
    CHECK_THAT(models.message, Catch::Contains("must be a path below the folder of the model"));
  }
}

TEST_CASE("what is missing or not a regular file is an io error") {
  const Models models;
  CHECK(models.error("none.bin") == ErrorKind::io);
  CHECK(models.error("sub") == ErrorKind::io);
  CHECK(models.error(".") == ErrorKind::io);
  CHECK(models.error("w.bin/x") == ErrorKind::io);
  REQUIRE(::mkfifo(models.path("models/fifo").c_str(), 0600) == 0);
  CHECK(models.error("fifo") == ErrorKind::io);
  fs::create_symlink("loop", models.path("models/loop"));
  CHECK(models.error("loop") == ErrorKind::io);
  fs::create_symlink("gone", models.path("models/dangling"));
  CHECK(models.error("dangling") == ErrorKind::io);
}

TEST_CASE("links are followed where they stay below the folder") {
  const Models models;
  fs::create_symlink("sub/w.bin", models.path("models/inside"));
  fs::create_symlink(models.path("models/w.bin"), models.path("models/inside-absolute"));
  fs::create_directory_symlink("sub", models.path("models/sub-link"));
  CHECK(contents(*models.open("inside")) == "more");
  CHECK(contents(*models.open("inside-absolute")) == "weights");
  CHECK(contents(*models.open("sub-link/w.bin")) == "more");
}

TEST_CASE("links that lead out are refused, and the way to allow them is named") {
  const Models models;
  fs::create_symlink("../secret", models.path("models/out"));
  fs::create_symlink("/etc/passwd", models.path("models/passwd"));
  fs::create_directory_symlink("..", models.path("models/up"));
  fs::create_symlink("up/secret", models.path("models/twice"));
  fs::create_symlink("/dev/zero", models.path("models/device"));
  for (const char* name : {"out", "passwd", "up/secret", "twice", "device"}) {
    INFO(name);
    CHECK(models.error(name) == ErrorKind::bad_input);
    CHECK_THAT(models.message, Catch::Contains("--external-root"));
  }
  // A folder whose name begins with the model folder's is another one.
  models.write("models-secret/w.bin", "secret");
  fs::create_symlink("../models-secret/w.bin", models.path("models/neighbour"));
  CHECK(models.error("neighbour") == ErrorKind::bad_input);
}

TEST_CASE("a hard link is a file like any other") {
  const Models models;
  fs::create_hard_link(models.path("secret"), models.path("models/hard"));
  CHECK(contents(*models.open("hard")) == "secret");
}

TEST_CASE("the cache of the Hugging Face hub: links into a folder of blobs") {
  const TemporaryFolder cache;
  cache.write("blobs/aaa", "model");
  cache.write("blobs/bbb", "weights");
  cache.write("secret", "secret");
  fs::create_directories(cache.path("snapshots/1/onnx"));
  fs::create_symlink("../../../blobs/aaa", cache.path("snapshots/1/onnx/model.onnx"));
  fs::create_symlink("../../../blobs/bbb", cache.path("snapshots/1/onnx/model.onnx_data"));
  fs::create_symlink("../../../secret", cache.path("snapshots/1/onnx/secret"));
  const std::string folder = cache.path("snapshots/1/onnx");
  CHECK(contents(*File::open_below(folder, "model.onnx_data", folder + "/model.onnx")) == "weights");
  CHECK_THROWS_WITH(File::open_below(folder, "secret", folder + "/model.onnx"), Catch::Contains("outside of"));
  // Without a model file, such as one from standard input, the folder alone counts.
  CHECK_THROWS_WITH(File::open_below(folder, "model.onnx_data", ""), Catch::Contains("outside of"));
}

TEST_CASE("the folder itself may be a link, relative, or the working one") {
  const Models models;
  fs::create_directory_symlink("models", models.path("link"));
  CHECK(contents(*File::open_below(models.path("link"), "w.bin", models.path("link/m.onnx"))) == "weights");
  CHECK(contents(*File::open_below(models.path("models/"), "w.bin", "")) == "weights");
  const fs::path before = fs::current_path();
  fs::current_path(models.path("models"));
  CHECK(contents(*File::open_below("", "w.bin", "m.onnx")) == "weights");
  CHECK(contents(*File::open_below(".", "sub/w.bin", "m.onnx")) == "more");
  CHECK(contents(*File::open_below("..", "secret", "m.onnx")) == "secret");
  fs::current_path(before);
}
