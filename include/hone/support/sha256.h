// SHA-256, by nettle.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "hone/support/file.h"

namespace hone {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  void update(std::span<const std::byte> bytes);
  std::string hex();  // the digest; the object starts anew

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(const File& file);

}  // namespace hone
