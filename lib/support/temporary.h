// The temporary file beside an output path.
#pragma once

#include <string>

#include "support/descriptor.h"

namespace hone {

// Owns the name of a temporary file; removes it unless it was renamed into place.
class Temporary {
 public:
  // Creates .NAME.hone-PID-N in the folder of the file that `path` means once symbolic links are followed, opened into
  // `file` and locked, and removes those of dead processes for the same file.
  static Temporary create(const std::string& path, Descriptor& file);
  Temporary(Temporary&& other) noexcept = default;
  Temporary& operator=(Temporary&&) = delete;
  ~Temporary();

  // Takes the place of the target; the folder is synced. Raises io, naming `shown`.
  void rename_into_place(const std::string& shown);

 private:
  Temporary(Descriptor folder, Descriptor lock, std::string name, std::string target)
      : folder_(std::move(folder)), lock_(std::move(lock)), name_(std::move(name)), target_(std::move(target)) {}

  Descriptor folder_;
  Descriptor lock_;     // keeps the file locked when the writer has closed it
  std::string name_;    // within the folder; empty when there is nothing to remove
  std::string target_;  // within the folder
};

}  // namespace hone
