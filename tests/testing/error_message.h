// What an error says.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "hone/support/error.h"

namespace hone::testing {

// The message of the hone::Error that `body` raises; fails where it raises none, or one of another kind.
template <typename Body>
std::string error_message(const Body& body, ErrorKind kind = ErrorKind::bad_input) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(std::string(kind_name(error.kind())) == kind_name(kind));
    return error.message();
  }
  FAIL("no error");
  return {};
}

// Its kind alone.
template <typename Body>
ErrorKind error_kind(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    INFO(error.message());
    return error.kind();
  }
  FAIL("no error");
  return {};
}

}  // namespace hone::testing
