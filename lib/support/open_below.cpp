// Files that a model names: external data, which must lie below the model's folder.
//
// The rule:
//  1. The name is relative, without "..", drive, scheme, "~" or NUL, with either kind of slash.
//  2. Symbolic links are followed. The real file must lie below the real path of the folder given, or of the folder
//     that holds the real model file: the cache of the Hugging Face hub is a tree of links into a folder of blobs.
//  3. It is a regular file.
// The real path is then opened anew, one folder after the other and through no link at all, so a link swapped in
// between leads to an error and never out.
//
// Hard links are accepted: such a file has two names of equal right, package managers and backup tools make them, and
// whoever can make one can already read or own the file.
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "hone/support/error.h"
#include "hone/support/file.h"
#include "hone/support/text.h"
#include "support/descriptor.h"
#include "support/regular_file.h"

namespace hone {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Why rule 1 forbids a name, or null.
const char* objection(const std::string& name) {
  if (name.empty()) return "is empty";
  if (name.find('\0') != std::string::npos) return "holds a NUL";
  if (name[0] == '/' || name[0] == '\\') return "is an absolute path";
  if (name.size() > 1 && is_letter(name[0]) && name[1] == ':') return "begins with a drive";
  if (name.find("://") != std::string::npos || lowercase(name.substr(0, 5)) == "file:") return "is a URL";
  if (name == "~" || (name[0] == '~' && name.find('/') != std::string::npos)) return "begins with a home folder";
  std::size_t begin = 0;
  for (std::size_t end = 0; end != std::string::npos; begin = end + 1) {
    end = name.find_first_of("/\\", begin);
    if (name.substr(begin, end == std::string::npos ? end : end - begin) == "..") return "climbs out of its folder";
  }
  return nullptr;
}

// With all links resolved; empty, with errno set, when there is no such path.
std::string real_path(const std::string& path) {
  std::array<char, PATH_MAX> out;
  return ::realpath(path.c_str(), out.data()) != nullptr ? std::string(out.data()) : std::string();
}

// The part of `path` after the folder; empty when it does not lie below it. Both are real paths.
std::string below(const std::string& folder, const std::string& path) {
  const std::string prefix = folder == "/" ? folder : folder + "/";
  return path.starts_with(prefix) ? path.substr(prefix.size()) : std::string();
}

// Opens folder/path, where no component may be a link.
std::shared_ptr<const File> open_without_links(const std::string& folder, const std::string& path,
                                               const std::string& name) {
  Descriptor at(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at) io_error(errno, "opening {}", printable(folder));
  const std::vector<std::string_view> components = split(path, '/');
  for (std::size_t i = 0; i + 1 < components.size(); ++i) {
    const std::string component(components[i]);
    at = Descriptor(::openat(at.get(), component.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!at) io_error(errno, "opening {}", printable(name));
  }
  struct stat status {};
  Descriptor file = open_regular(at.get(), std::string(components.back()).c_str(), O_NOFOLLOW, name, status);
  return regular_file(std::move(file), status, name);
}

}  // namespace

std::shared_ptr<const File> File::open_below(const std::string& directory, const std::string& relative,
                                             const std::string& model_path) {
  if (const char* reason = objection(relative)) {
    bad_input("external data {}: the location {}; it must be a path below the folder of the model", quote(relative),
              reason);
  }
  const std::string folder = directory.empty() ? "." : directory;
  const std::string path = directory.empty()         ? relative
                           : directory.back() == '/' ? directory + relative
                                                     : directory + "/" + relative;
  const std::string real = real_path(path);
  if (real.empty()) io_error(errno, "opening {}", printable(path));

  const std::string real_folder = real_path(folder);
  if (real_folder.empty()) io_error(errno, "opening {}", printable(folder));
  if (const std::string rest = below(real_folder, real); !rest.empty()) {
    return open_without_links(real_folder, rest, path);
  }
  const std::string real_model = model_path.empty() ? std::string() : real_path(model_path);
  if (!real_model.empty()) {
    const std::string model_folder = real_model.substr(0, std::max<std::size_t>(real_model.rfind('/'), 1));
    if (const std::string rest = below(model_folder, real); !rest.empty()) {
      return open_without_links(model_folder, rest, path);
    }
  }
  if (real == real_folder) fail(ErrorKind::io, "{} is not a file but a folder", printable(path));
  bad_input(
      "external data {} is a link to {}, outside of {}; if it is to be trusted, allow its folder with --external-root",
      quote(relative), quote(real), quote(real_folder));
}

}  // namespace hone
