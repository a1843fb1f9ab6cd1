// A file that grows while others read it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hone::report {

class AppendFile {
 public:
  // Opens or makes the file. Raises io.
  explicit AppendFile(std::string path, bool must_be_new = false);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  // All of it, by one call of the system unless that is interrupted. Raises io.
  void append(std::string_view bytes);
  std::string read();  // nothing for a device or a pipe
  void truncate(std::uint64_t size);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int descriptor_ = -1;
  bool regular_ = false;
};

}  // namespace hone::report
