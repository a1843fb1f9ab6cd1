// SHA-256 over bytes and files. nettle picks the instructions of the CPU.
#include "hone/support/sha256.h"

#include <nettle/sha2.h>

#include <algorithm>
#include <array>
#include <vector>

#include "hone/support/threads.h"

namespace hone {

struct Sha256::State {
  sha256_ctx context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) { sha256_init(&state_->context); }
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  sha256_update(&state_->context, bytes.size(), reinterpret_cast<const std::uint8_t*>(bytes.data()));
}

std::string Sha256::hex() {
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&state_->context, digest.size(), digest.data());  // begins anew, too
  constexpr const char* digits = "0123456789abcdef";
  std::string text;
  for (const unsigned byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string sha256(const File& file) {
  constexpr std::uint64_t window = std::uint64_t{1} << 20;
  Sha256 hash;
  std::vector<std::byte> bytes(std::min(file.size(), window));
  for (std::uint64_t done = 0; done < file.size(); done += bytes.size()) {
    check_interrupt();
    bytes.resize(std::min(file.size() - done, window));
    file.read(done, bytes);
    hash.update(bytes);
  }
  return hash.hex();
}

}  // namespace hone
