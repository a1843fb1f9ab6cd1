// What the ways to open a file share.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>

#include "hone/support/file.h"
#include "support/descriptor.h"

namespace hone {

// Opens `path` below the open folder (AT_FDCWD: the working one) for reading, with more `flags` of open(). Raises io,
// naming `name`, for what is missing, unreadable or not a regular file.
Descriptor open_regular(int folder, const char* path, int flags, const std::string& name, struct stat& status);

std::shared_ptr<const File> regular_file(Descriptor descriptor, const struct stat& status, std::string name);

}  // namespace hone
