#include "hone/support/sha256.h"

#include <catch2/catch.hpp>
#include <string>

namespace {

std::string digest(std::string_view text) {
  hone::Sha256 hash;
  hash.update(std::as_bytes(std::span(text)));
  return hash.hex();
}

}  // namespace

TEST_CASE("SHA-256 of the examples of FIPS 180") {
  CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digest(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("pieces make the digest of the whole, and a digest begins anew") {
  hone::Sha256 hash;
  for (const std::string_view piece : {"a", "", "bc"}) hash.update(std::as_bytes(std::span(piece)));
  CHECK(hash.hex() == digest("abc"));
  CHECK(hash.hex() == digest(""));
}

TEST_CASE("the digest of a file, over several windows") {
  const std::string text(5000000, 'x');
  CHECK(hone::sha256(*hone::File::from_memory(text, "x")) == digest(text));
  CHECK(hone::sha256(*hone::File::from_memory("", "empty")) == digest(""));
}
