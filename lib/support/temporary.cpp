// Temporary files: made beside the target, renamed over it, and removed when their process died before that.
//
// A process is dead when no process has the id in the file's name and nobody holds a lock on the file: ids alone would
// lie where containers share a folder. Left alone: temporaries of another target, and folders that may not be listed.
#include "support/temporary.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <memory>
#include <optional>

#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone {
namespace {

constexpr std::string_view marker = ".hone-";

// The path that a write through symbolic links would reach, which need not exist.
std::string follow_links(std::string path, const std::string& shown) {
  for (int links = 0; links <= 40; ++links) {  // as many as Linux follows
    std::string target(PATH_MAX, '\0');
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    if (length < 0) return path;
    target.resize(static_cast<std::size_t>(length));
    const std::size_t slash = path.rfind('/');
    path.resize(target.starts_with('/') ? 0 : slash + 1);  // npos + 1 is 0
    path += target;
  }
  io_error(ELOOP, "writing {}", printable(shown));
}

// .NAME.hone- with NAME cut so that the whole fits in a file name.
std::string prefix_for(const std::string& name) {
  constexpr std::size_t room = NAME_MAX - 40;
  return "." + name.substr(0, room) + std::string(marker);
}

bool is_stale(int folder, const char* name, std::string_view rest) {
  const std::optional<std::int64_t> process = parse_int64(rest.substr(0, rest.find('-')));
  if (!process || *process <= 0 || *process > INT_MAX) return false;
  if (::kill(static_cast<pid_t>(*process), 0) == 0 || errno != ESRCH) return false;
  const Descriptor file(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status {};
  return file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::flock(file.get(), LOCK_EX | LOCK_NB) == 0;
}

void remove_stale(int folder, const std::string& prefix) {
  Descriptor listed(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!listed) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(listed.get()), ::closedir);
  if (!entries) return;
  listed.release();
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(prefix) && is_stale(folder, entry->d_name, name.substr(prefix.size()))) {
      ::unlinkat(folder, entry->d_name, 0);
    }
  }
}

}  // namespace

Temporary Temporary::create(const std::string& path, Descriptor& file) {
  const std::string real = follow_links(path, path);
  const std::size_t slash = real.rfind('/');
  const std::string target = slash == std::string::npos ? real : real.substr(slash + 1);
  const std::string parent = slash == std::string::npos ? "." : real.substr(0, slash + 1);
  if (target.size() > NAME_MAX) io_error(ENAMETOOLONG, "writing {}", printable(path));

  Descriptor folder(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) io_error(errno, "writing {}", printable(path));
  const std::string prefix = prefix_for(target);
  remove_stale(folder.get(), prefix);

  static std::atomic<unsigned> counter{0};
  for (int tries = 0; tries < 1000; ++tries) {
    std::string name = fmt::format("{}{}-{}", prefix, ::getpid(), counter++);
    Descriptor created(::openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!created && errno == EEXIST) continue;
    if (!created) io_error(errno, "writing {} (creating a temporary file in its folder)", printable(path));
    // File systems without locks are rare and leave the ids to tell the dead.
    ::flock(created.get(), LOCK_EX | LOCK_NB);
    struct stat status {};
    if (::fstat(created.get(), &status) == 0 && status.st_nlink == 0) continue;  // another took it for a dead one's
    Descriptor lock(::fcntl(created.get(), F_DUPFD_CLOEXEC, 0));
    file = std::move(created);
    return Temporary(std::move(folder), std::move(lock), std::move(name), target);
  }
  io_error(EEXIST, "writing {} (creating a temporary file in its folder)", printable(path));
}

Temporary::~Temporary() {
  if (folder_ && !name_.empty()) ::unlinkat(folder_.get(), name_.c_str(), 0);
}

void Temporary::rename_into_place(const std::string& shown) {
  if (::renameat(folder_.get(), name_.c_str(), folder_.get(), target_.c_str()) != 0) {
    io_error(errno, "writing {}", printable(shown));
  }
  name_.clear();
  // Makes the rename last. A folder that can't be opened for reading can't be synced, and some file systems don't.
  const Descriptor readable(::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (readable && ::fsync(readable.get()) != 0 && errno != EINVAL)
    io_error(errno, "syncing the folder of {}", printable(shown));
}

}  // namespace hone
